#!/bin/sh
# The gate with nothing but curl: examine a model and let it through, or not.
#
#   gate.sh MODEL BATCH OPTIONS      where GRADGATE_SERVER names the service
#
# Exit status: 0 let through, 1 rejected, 2 refused as unreadable, 3 not examined (never 0 by accident).
set -u
model=$1 batch=$2 options=$3

status=$(curl --silent --show-error --max-time 300 --output gate.json --write-out '%{http_code}' \
    --header 'Prefer: wait=120' \
    --form "model=@$model" --form "batch=@$batch" --form "options=<$options" \
    "$GRADGATE_SERVER/v1/gate") || exit 3

cat gate.json
case $status in
    200) exit 0 ;;
    409) exit 1 ;;
    4*) exit 2 ;;
    *) exit 3 ;; # 202 too: the wait ran out before there was a verdict
esac
