"""Reads a model repository as Triton would: the layout, and config.pbtxt by its own protobuf.

usage: triton.py REPOSITORY MODEL
"""
import importlib.util, json, os, sys

import tritonclient
from google.protobuf import text_format

repository, model = sys.argv[1:]
path = os.path.join(os.path.dirname(tritonclient.__file__), "grpc", "model_config_pb2.py")
spec = importlib.util.spec_from_file_location("model_config_pb2", path)
pb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pb)
home = os.path.join(repository, model)
with open(os.path.join(home, "config.pbtxt")) as f:
    c = text_format.Parse(f.read(), pb.ModelConfig())
accelerators = c.optimization.execution_accelerators.gpu_execution_accelerator
print(json.dumps({
    "name": c.name, "backend": c.backend,
    "versions": [v for v in os.listdir(home) if v.isdigit()], "policy": list(c.version_policy.specific.versions),
    "files": sorted(os.listdir(os.path.join(home, "1"))),
    "keys": sorted({k for a in accelerators for k in a.parameters}),
    "profiles": [p for g in c.instance_group for p in g.profile],
    "warmup": {w.name: {k: [pb.DataType.Name(i.data_type), *i.dims] for k, i in w.inputs.items()} for w in c.model_warmup},
    "sizes": [w.batch_size for w in c.model_warmup],
}))
