"""Runs a graph for calib's tests, and keeps all it returned for numpy to judge.

A request is a line of JSON with the feeds' names, types and dims and the outputs
to fetch, then the feeds' bytes; so is the answer. At the end of the input the
file argv[2] gets numpy's view of every fetched tensor.
"""
import json
import sys

import numpy as np
import onnxruntime as ort

from thresholds import judge

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
session = ort.InferenceSession(sys.argv[1], options)
seen = {}
kinds = {"int64": np.int64, "float": np.float32, "float16": np.float16}
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    feeds = {}
    for f in request["feeds"]:
        kind = np.dtype(kinds[f["type"]])
        raw = sys.stdin.buffer.read(kind.itemsize * int(np.prod(f["dims"])))
        feeds[f["name"]] = np.frombuffer(raw, kind).reshape(f["dims"])
    outputs = session.run(request["fetch"], feeds)
    for name, value in zip(request["fetch"], outputs):
        seen.setdefault(name, []).append(value)
    head = [{"name": n, "dims": v.shape, "bytes": v.nbytes} for n, v in zip(request["fetch"], outputs)]
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + b"".join(np.ascontiguousarray(v).tobytes() for v in outputs))
    sys.stdout.buffer.flush()
result = {}
for name, values in seen.items():
    result[name] = {"runs": [list(x.shape) for x in values]}
    if not name.startswith("present"):
        result[name] |= judge(np.concatenate([x.ravel() for x in values]), values[0].shape[-1])
with open(sys.argv[2], "w") as f:
    json.dump(result, f)
