#!/usr/bin/env bash
# The service with nothing but curl: examine a network that is described in JSON, wait, read, judge.
#
#   gradgate up &
#   examples/curl.sh [http://127.0.0.1:8000]
set -euo pipefail
server=${1:-http://127.0.0.1:8000}
here=$(dirname "${BASH_SOURCE[0]}")

echo "== Examine, and wait for it: the answer is the job, at the address in Location"
job=$(curl --fail-with-body --silent --show-error \
    --header 'Content-Type: application/json' --header 'Prefer: wait=60' \
    --data @"$here/sigmoid.json" "$server/v1/diagnoses")
echo "$job"
id=$(sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' <<<"$job" | head -n 1)

echo "== The report, as a person reads it"
curl --fail-with-body --silent --show-error "$server/v1/diagnoses/$id/report?format=text"

echo "== The gate: 200 lets the model through, 409 does not"
curl --silent --show-error --write-out '\nHTTP %{http_code}\n' "$server/v1/diagnoses/$id/gate"
