"""Post-training INT8 quantization by the tools that people use instead: ONNX Runtime's
quantize_static (runtime oracle) or NVIDIA ModelOpt's ONNX quantization (runtime
oracle-modelopt), on the CPU, symmetric, one scale an output channel of a weight.

usage: ptq.py TOOL METHOD MODEL.onnx OUT.onnx SAMPLES.npz [NODE...]

TOOL METHOD is one of: ort minmax, ort entropy, ort percentile, modelopt max, modelopt
entropy. SAMPLES.npz holds the feeds of sample I under the names "I/INPUT": any shapes, so
decode steps with their past too (ort entropy and percentile want one shape for all). NODE...
are the only nodes to quantize (exact names); without, ort takes every MatMul and Gemm whose
weight is constant, and modelopt what its own rules choose (of our GPT-2 export the same).

A line of JSON on standard output: {"ms": of the call, imports and reading outside,
"peak_mb": VmHWM of this process, "quantized": nodes with quantized inputs}.

ModelOpt's own command cannot feed samples of several shapes, nor a past of no tokens: its
function quantize takes a reader, as used here. Its traps: it writes beside MODEL.onnx
(copies of it, which a crash leaves behind), so MODEL.onnx should lie in a directory of its
own; the first sample decides which products it leaves out as matrix-vector ones, so it must
be a prefill; without high_precision_dtype="fp32" the rest of the graph becomes float16;
names of nodes that match nothing mean its own choice; without data it takes random numbers.
"""
import json
import os
import re
import sys
import time

tool, method, model, out, samples = sys.argv[1:6]
nodes = sys.argv[6:]

import numpy
import onnx

for old in (out, out + ".data", out + "_data"):  # onnx appends to data that is there
    if os.path.exists(old):
        os.remove(old)


class Reader:
    """The samples in order. ModelOpt asks for get_first and rewind besides get_next."""

    def __init__(self, path):
        self.all = []
        with numpy.load(path) as archive:
            for name in archive.files:
                sample, feed = name.split("/", 1)
                while len(self.all) <= int(sample):
                    self.all.append({})
                self.all[int(sample)][feed] = archive[name]
        self.rewind()

    def get_next(self):
        return next(self.rest, None)

    def get_first(self):
        return self.all[0]

    def rewind(self):
        self.rest = iter(self.all)

    def set_range(self, *_):
        pass

    def __len__(self):
        return len(self.all)


def constant():
    """The names of the products with a constant weight."""
    graph = onnx.load(model, load_external_data=False).graph
    weights = {t.name for t in graph.initializer}
    shared = {n.output[0] for n in graph.node if n.op_type == "Transpose" and n.input[0] in weights}
    return [n.name for n in graph.node if n.op_type in ("MatMul", "Gemm") and n.input[1] in weights | shared]


def by_ort(reader):
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    methods = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
    start = time.perf_counter()
    quantize_static(
        model, out, reader, quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"], nodes_to_quantize=nodes or constant(),
        calibrate_method=methods[method], use_external_data_format=True,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True})
    return time.perf_counter() - start


def by_modelopt(reader):
    from modelopt.onnx.quantization import quantize
    start = time.perf_counter()
    quantize(
        model, quantize_mode="int8", calibration_method=method, calibration_data_reader=reader, calibration_eps=["cpu"],
        nodes_to_quantize=[re.escape(n) + "$" for n in nodes] or None, high_precision_dtype="fp32",
        use_external_data_format=True, output_path=out, log_level="WARNING")
    return time.perf_counter() - start


def quantized(path):
    graph = onnx.load(path, load_external_data=False).graph
    made = {o for n in graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    return sum(n.op_type in ("MatMul", "Gemm") and n.input[0] in made and n.input[1] in made for n in graph.node)


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6


took = {"ort": by_ort, "modelopt": by_modelopt}[tool](Reader(samples))
print(json.dumps({"ms": 1e3 * took, "peak_mb": peak_mb(), "quantized": quantized(out)}), flush=True)
