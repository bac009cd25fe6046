#!/usr/bin/env bash
# The service with nothing but curl: examine a network that is described in JSON, wait, read, judge.
#
#   make serve          (in another terminal)
#   examples/curl.sh [http://127.0.0.1:8000]
set -euo pipefail
server=${1:-http://127.0.0.1:8000}
here=$(dirname "${BASH_SOURCE[0]}")

call() { curl --fail-with-body --silent --show-error "$@"; }

echo "== Submit: the answer is the job"
job=$(call --form "model=@$here/sigmoid.json" "$server/v1/diagnoses")
echo "$job"
id=${job#*\"id\":\"} id=${id%%\"*}

echo "== Wait, up to a minute a call"
while grep -q '"status": *"\(queued\|running\)"' <<<"$job"; do
    job=$(call --header 'Prefer: wait=60' "$server/v1/diagnoses/$id")
done
echo "$job"

echo "== The report, as a person reads it"
call "$server/v1/diagnoses/$id/report?format=text"

echo "== The gate: 200 lets the model through, 409 does not"
curl --silent --show-error --write-out '\nHTTP %{http_code}\n' "$server/v1/diagnoses/$id/gate"
