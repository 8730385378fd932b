#!/usr/bin/env bash
# Runs every check of docs/gpu-verification.md on this machine and leaves a report to
# paste. Exit status: 0 all that could be checked passed, 1 a check failed, 3 no GPU.
set -uo pipefail
cd "$(dirname "$0")/.."
table=docs/gpu-verification.md
report=build/gpu/report.md

gpus=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader 2>&1) || {
    echo "no NVIDIA GPU answers on this machine, and these checks are about one: ${gpus:-nvidia-smi says nothing}" >&2
    echo "run make gpu-test on a machine with an RTX GPU, or with any GPU and TensorRT's trtexec" >&2
    exit 3
}
[ -x bin/trtforge ] || { echo "bin/trtforge is not built: run make gpu-test, which does that" >&2; exit 2; }
mkdir -p build/gpu
rm -f "$report.details"

# has NEED: whether this machine has what a check needs beside a GPU.
has() {
    case $1 in
        gpu) true ;;
        trt) bin/trtforge doctor --need trt > /dev/null 2>&1 ;;
        triton) [ -n "${TRITON_IMAGE:-}" ] && command -v docker > /dev/null ;;
        *) command -v "$1" > /dev/null ;;
    esac
}

failed=0
{
    echo "## trtforge on a GPU"
    echo
    echo "$(bin/trtforge version | head -n 1), $(uname -sr)"
    echo
    echo "$gpus" | sed 's/^/    /'
    echo
    echo "| id | statement | verdict | took |"
    echo "|---|---|---|---|"
} > "$report"
while IFS= read -r line; do
    row=${line//'\|'/$'\001'} # a bar within a cell
    IFS='|' read -r _ id needs statement _ command expected _ <<< "$row"
    id=${id// /} needs=${needs// /}
    command=${command#* \`} command=${command%\` *}
    expected=${expected#* \`} expected=${expected%\` *} expected=${expected//$'\001'/|}
    if ! has "$needs"; then
        echo "| $id |$statement| skipped: $needs is not here | |" >> "$report"
        continue
    fi
    echo "$id:$statement" >&2
    begin=$SECONDS
    out=$(bash -c "$command" 2>&1 < /dev/null)
    status=$?
    verdict=pass
    if [ $status -ne 0 ] || ! grep -Eq -- "$expected" <<< "$out"; then
        verdict="FAIL (status $status)" failed=1
    fi
    echo "| $id |$statement| $verdict | $((SECONDS - begin)) s |" >> "$report"
    printf '\n<details><summary>%s</summary>\n\n```\n$ %s\n%s\n```\n</details>\n' "$id" "$command" "$(tail -n 60 <<< "$out")" >> "$report.details"
done < <(grep '^| G[0-9]' "$table")
cat "$report.details" >> "$report" 2> /dev/null
rm -f "$report.details"
cat "$report"
exit $failed
