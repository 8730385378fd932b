"""Builds graphs with NVIDIA's builder (TensorRT for RTX) and prints its log.

Reads cases from standard input, one JSON object a line: {"model": PATH,
"profiles": [{NAME: [min, opt, max]}]}, and answers each with one JSON string.
"""

import json
import sys

import tensorrt_rtx_bindings as trt

MARKS = {trt.ILogger.INTERNAL_ERROR: "F", trt.ILogger.ERROR: "E", trt.ILogger.WARNING: "W", trt.ILogger.INFO: "I"}


class Logger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, message):
        if severity in MARKS:
            self.lines.append(f"[11/24/2026-22:20:01] [TRT] [{MARKS[severity]}] {message}")


def build(case):
    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(case["model"]):
        return "\n".join(logger.lines)
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM120, 0)
    for shapes in case["profiles"] or []:
        profile = builder.create_optimization_profile()
        for name, (low, opt, high) in shapes.items():
            profile.set_shape(name, tuple(low), tuple(opt), tuple(high))
        config.add_optimization_profile(profile)
    builder.build_serialized_network(network, config)
    return "\n".join(logger.lines)


for line in sys.stdin:
    print(json.dumps(build(json.loads(line))), flush=True)
