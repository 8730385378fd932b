"""Parses ONNX files with NVIDIA's parser for TensorRT-RTX and reports every refusal.

    rtx_parse.py FILE...

Prints one JSON object a FILE: whether it parsed, the parser's errors, and how
many layers and inputs the network has. Needs no GPU.
"""

import json
import sys

try:
    import tensorrt_rtx_bindings as trt
except ImportError:
    import tensorrt_rtx as trt


class Quiet(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)

    def log(self, severity, message):
        if severity <= trt.ILogger.WARNING:
            print(message, file=sys.stderr)


def parse(path):
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    ok = parser.parse_from_file(path)
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    return {"ok": ok, "errors": errors, "layers": network.num_layers, "inputs": network.num_inputs}


if __name__ == "__main__":
    logger = Quiet()
    for name in sys.argv[1:]:
        print(json.dumps(parse(name)), flush=True)
