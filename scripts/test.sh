#!/usr/bin/env bash
# Installs every runtime, runs all tests with the race detector, the Python
# tests, the fuzz corpora and the demo, and prints what was skipped and the ten
# slowest. Skips for want of a runtime fail: TRTFORGE_REQUIRE.
set -euo pipefail
cd "$(dirname "$0")/.."
bin/trtforge setup ort rtx reference oracle oracle-trt oracle-modelopt
export TRTFORGE_REQUIRE=ort,rtx,reference,oracle,oracle-trt,oracle-modelopt

CGO_ENABLED=0 go build ./...
python3 -m unittest discover -s internal/worker/pytest

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -race -timeout "$([ -n "${TRTFORGE_FULL:-}" ] && echo 90m || echo 25m)" -json ./... >"$log" || status=$?
go run ./internal/testreport <"$log"
[ $status -eq 0 ] || exit $status

make --no-print-directory demo
