#!/usr/bin/env bash
# Runs govulncheck. Its database comes from the network; where that cannot be
# reached the check is skipped by name, everything else it says is a failure.
set -uo pipefail
out=$(go tool -modfile=tools/lint/go.mod govulncheck ./... 2>&1)
status=$?
if [ $status -ne 0 ] && grep -q 'fetching vulnerabilities' <<<"$out"; then
  echo "govulncheck: SKIPPED, its database cannot be reached from here"
  exit 0
fi
[ $status -eq 0 ] || echo "$out"
exit $status
