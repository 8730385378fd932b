"""A side of `make bench`: decode steps by Python's onnxruntime with IO binding,
two sets of caches used in turn, one binding a step made beforehand.

usage: ort_decode.py MODEL.onnx DEPTH STEPS THREADS
"""
import sys
import time

import numpy
import onnxruntime

model, depth, steps, threads = sys.argv[1], *map(int, sys.argv[2:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.log_severity_level = 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
kv = [i for i in session.get_inputs() if i.name.startswith("past_key_values")]
_, heads, _, size = kv[0].shape
vocab = next(o for o in session.get_outputs() if o.name == "logits").shape[2]
caches = [{i.name: numpy.zeros(heads * size * (depth + steps + 1), numpy.float32) for i in kv} for _ in range(2)]
ids, position = numpy.full((1, 1), 1, numpy.int64), numpy.zeros((1, 1), numpy.int64)
mask, logits = numpy.ones(depth + steps + 1, numpy.int64), numpy.empty((1, 1, vocab), numpy.float32)


def bind(k):
    b = session.io_binding()
    past = depth + k

    def at(put, name, array, type, shape):
        put(name, "cpu", 0, type, shape, array.ctypes.data)
    at(b.bind_input, "input_ids", ids, numpy.int64, (1, 1))
    at(b.bind_input, "position_ids", position, numpy.int64, (1, 1))
    at(b.bind_input, "attention_mask", mask, numpy.int64, (1, past + 1))
    at(b.bind_output, "logits", logits, numpy.float32, logits.shape)
    for i in kv:
        at(b.bind_input, i.name, caches[k % 2][i.name], numpy.float32, (1, heads, past, size))
        present = i.name.replace("past_key_values", "present")
        at(b.bind_output, present, caches[(k + 1) % 2][i.name], numpy.float32, (1, heads, past + 1, size))
    return b


bindings = [bind(k) for k in range(steps)]
print("ready", flush=True)
for _ in sys.stdin:
    times = []
    for k, b in enumerate(bindings):
        start = time.perf_counter()
        ids[0, 0] = 1
        position[0, 0] = depth + k
        session.run_with_iobinding(b)
        logits[0, 0].argmax()
        times.append(1e3 * (time.perf_counter() - start))
    print(numpy.median(times), flush=True)
