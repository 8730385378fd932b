"""Builds graphs with TensorRT-RTX, prefill and decode profiles, and prints one line of JSON each."""
import json
import sys

import tensorrt_rtx_bindings as trt


class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, message):
        self.lines += [(severity, line) for line in message.split("\n")]


log = Log()  # one for the process: TensorRT keeps the first logger it is given


def build(path):
    log.lines.clear()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(path):
        return {"error": "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))}
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    for seqs, pasts in (((1, 8, 32), (0, 0, 0)), ((1, 1, 1), (1, 16, 30))):
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            t = network.get_input(i)
            shapes = []
            for batch, seq, past in zip((1, 1, 4), seqs, pasts):
                if t.name in ("input_ids", "position_ids"):
                    shapes.append((batch, seq))
                elif t.name == "attention_mask":
                    shapes.append((batch, seq + past))
                else:
                    shapes.append((batch, t.shape[1], past, t.shape[3]))
            profile.set_shape(t.name, *shapes)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return {"error": "; ".join(m for s, m in log.lines if s <= trt.ILogger.ERROR)}
    gemms = [m.split("Outputs:")[0] for _, m in log.lines if "LayerType: gemm" in m]
    # Both operands: the activation among the inputs, the weight among the constants.
    integer = [g for g in gemms if "Int8" in g.split("Constants:")[0] and "Int8" in g.split("Constants:")[1]]
    return {"bytes": plan.nbytes, "profiles": config.num_optimization_profiles, "gemms": len(gemms), "int8": len(integer)}


for name in sys.argv[1:]:
    print(json.dumps(build(name)), flush=True)
