"""NVIDIA's TensorRT for RTX builder as an oracle of profiles, without a GPU.

One JSON object a line on standard input: {"model": path, "profiles": [{"inputs":
[{"input", "min", "opt", "max", "values"}]}]}. One a line on standard output:
{"built": whether every profile was taken and a plan came out, "errors": [...]}.
{"operators": [...]} is answered by {"lacks": those that the parser does not have}.
Networks are parsed once. The lowest optimization level is enough: what is wrong
with a profile is found before kernels are timed.
"""

import json
import os
import sys

import tensorrt_rtx_bindings as trt

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the library prints


class Logger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, text):
        # catchCudaError is said after any other error where no GPU is.
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR) and "catchCudaError" not in text:
            self.errors.append(text)


LOG = Logger()
BUILDER = trt.Builder(LOG)
PARSED = {}


def network(path):
    if path not in PARSED:
        n = BUILDER.create_network(0)
        parser = trt.OnnxParser(n, LOG)
        if not parser.parse_from_file(path):
            sys.exit(f"{path}: {[parser.get_error(i).desc() for i in range(parser.num_errors)]}")
        PARSED[path] = (n, parser)  # the parser owns weights
    return PARSED[path][0]


def build(request):
    LOG.errors = []
    n = network(request["model"])
    config = BUILDER.create_builder_config()
    config.builder_optimization_level = 0
    taken = True
    for wanted in request["profiles"]:
        profile = BUILDER.create_optimization_profile()
        for r in wanted["inputs"] or []:
            if not (r["min"] and r["opt"] and r["max"]):
                continue  # the API has no way to give some of the three
            put = profile.set_shape_input if r.get("values") else profile.set_shape
            try:
                put(r["input"], r["min"], r["opt"], r["max"])
            except (RuntimeError, TypeError, ValueError) as e:
                LOG.errors.append(f"{r['input']}: {e}")
                taken = False
        taken = config.add_optimization_profile(profile) >= 0 and taken
    plan = BUILDER.build_serialized_network(n, config)
    return {"built": taken and plan is not None, "errors": LOG.errors}


def lacks(names):
    n = BUILDER.create_network(0)
    parser = trt.OnnxParser(n, LOG)
    return {"lacks": [name for name in names if not parser.supports_operator(name)]}


for line in sys.stdin:
    request = json.loads(line)
    answer = lacks(request["operators"]) if "operators" in request else build(request)
    print(json.dumps(answer), file=ANSWERS, flush=True)
