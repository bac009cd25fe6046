#!/bin/sh
# The gate with nothing but curl: examine a model and let it through, or not.
#
#   gate.sh MODEL BATCH OPTIONS      where GRADGATE_SERVER names the service
#
# What the gate said is left in gate.json.  Exit status: 0 let through, 1 rejected, 2 refused or unreadable,
# 3 not examined (never 0 by accident).
set -u
: "${GRADGATE_SERVER:?names the service, such as http://127.0.0.1:8000}"
model=${1:?names the model} batch=${2:?names the batch} options=${3:?names the options}

# Writes the answer to gate.json and prints its HTTP status.
ask() {
    curl --silent --show-error --max-time 150 --output gate.json --write-out '%{http_code}' --header 'Prefer: wait=120' "$@"
}

status=$(ask --form "model=@$model" --form "batch=@$batch" --form "options=<$options" "$GRADGATE_SERVER/v1/gate") || exit 3

if [ "$status" = 202 ]; then # the wait ran out: the answer is the job
    job=$GRADGATE_SERVER/v1/diagnoses/$(sed 's/.*"id": *"\([0-9a-f]*\)".*/\1/' gate.json)
    while grep -q '"status": *"\(queued\|running\)"' gate.json; do
        ask "$job" >/dev/null || exit 3
    done
    status=$(ask "$job/gate") || exit 3
fi

cat gate.json
case $status in
    200) exit 0 ;;
    409) exit 1 ;;
    4*) grep -q '"status": *5[0-9][0-9]' gate.json && exit 3 # the examination broke, through no fault of the model
        exit 2 ;;
    *) exit 3 ;;
esac
