"""Milliseconds that ONNX Runtime's CPU takes to run samples through a graph: the least of
three times, each of one Run a sample, with one output fetched; loading is outside.

usage: forward.py MODEL.onnx SAMPLES.npz (as ptq.py reads them)
"""
import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 0  # as many as the machine has cores
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
samples = {}
with numpy.load(sys.argv[2]) as archive:
    for name in archive.files:
        sample, feed = name.split("/", 1)
        samples.setdefault(sample, {})[feed] = archive[name]
one = [session.get_outputs()[-1].name]
took = []
for _ in range(3):
    start = time.perf_counter()
    for feeds in samples.values():
        session.run(one, feeds)
    took.append(time.perf_counter() - start)
print(1e3 * min(took))
