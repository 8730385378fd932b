#!/usr/bin/env bash
# Builds @NAME@ on a machine with an NVIDIA GPU and TensorRT 10 or 11, and times each
# profile at its optimum. Written by trtforge; README.md says what to do with it.
set -euo pipefail
cd "$(dirname "$0")"

trtexec=${TRTEXEC:-trtexec}
command -v "$trtexec" > /dev/null || trtexec=/usr/src/tensorrt/bin/trtexec
command -v "$trtexec" > /dev/null || { echo "trtexec is not here: install TensorRT, or set TRTEXEC to its path" >&2; exit 3; }
gpu=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader -i 0) || { echo "no NVIDIA GPU answers: $gpu" >&2; exit 3; }
sha256sum --quiet -c checksums.sha256 || { echo "these files are not those that were packed" >&2; exit 4; }
version=$({ "$trtexec" --help 2>&1 || true; } | sed -n '/TensorRT\.trtexec \[TensorRT v[0-9]*\]/{s/.*\[TensorRT v\([0-9]*\)\].*/\1/p;q}')
case $version in
    10????) typed=--stronglyTyped ;;
    11????) typed= ;; # it knows nothing else
    *) echo "$trtexec is of TensorRT '$version'; this script knows 10 and 11" >&2; exit 3 ;;
esac

rm -rf result
mkdir result
echo "$gpu" > result/gpu.csv
@BUILD@
@TIMES@
(cd result && sha256sum -- * > sha256)
echo "built and timed: bring result/ back and run 'trtforge engines adopt' on it"
