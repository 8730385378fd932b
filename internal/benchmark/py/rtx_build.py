"""NVIDIA's TensorRT for RTX builder, called as its documentation shows: parse, add
profiles, build, write. A portable plan; FP32 means FP32.

usage: rtx_build.py MODEL.onnx PLAN.json OUT.plan
"""
import json
import sys

import tensorrt_rtx_bindings as trt

model, plan, out = sys.argv[1:]
logger = trt.Logger(trt.Logger.WARNING)
builder = trt.Builder(logger)
network = builder.create_network(0)
parser = trt.OnnxParser(network, logger)
if not parser.parse_from_file(model):
    sys.exit("; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)))
config = builder.create_builder_config()
config.clear_flag(trt.BuilderFlag.TF32)
with open(plan) as f:
    wanted = json.load(f)["profiles"]
for ranges in wanted:
    profile = builder.create_optimization_profile()
    for r in ranges["inputs"]:
        profile.set_shape(r["input"], r["min"], r["opt"], r["max"])
    if config.add_optimization_profile(profile) < 0:
        sys.exit("the builder refuses a profile")
serialized = builder.build_serialized_network(network, config)
if serialized is None:
    sys.exit("the builder gave no plan")
with open(out, "wb") as f:
    f.write(memoryview(serialized))
