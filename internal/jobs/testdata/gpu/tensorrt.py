"""TensorRT's Python API as far as py/plan.py uses it, on the CPU: an engine is a plan's
header, then JSON with the path of an ONNX graph and its profiles, which ONNX Runtime
runs on the memory that it is given. What TensorRT would refuse is refused: shapes
outside of the chosen profile, addresses that are not set, profiles that are not chosen.
"""

import ctypes
import json

import numpy as np
import onnxruntime

__version__ = "10.13.3.9"
TYPES = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class ILogger:
    ERROR, INTERNAL_ERROR = 1, 0

    def __init__(self):
        pass


class TensorIOMode:
    INPUT, OUTPUT = "in", "out"


def nptype(t):
    return t


class Runtime:
    def __init__(self, log):
        self.log = log

    def deserialize_cuda_engine(self, data):
        try:
            return Engine(json.loads(data[64:]))
        except ValueError:
            self.log.log(ILogger.ERROR, "the plan is damaged")
            return None


class Engine:
    def __init__(self, plan):
        self.session = onnxruntime.InferenceSession(plan["model"], providers=["CPUExecutionProvider"])
        self.profiles = plan["profiles"]
        self.num_optimization_profiles = len(self.profiles)
        self.io = [(v, "in") for v in self.session.get_inputs()] + [(v, "out") for v in self.session.get_outputs()]
        self.num_io_tensors = len(self.io)

    def get_tensor_name(self, i):
        return self.io[i][0].name

    def of(self, name):
        return next(x for x in self.io if x[0].name == name)

    def get_tensor_dtype(self, name):
        return TYPES[self.of(name)[0].type]

    def get_tensor_mode(self, name):
        return self.of(name)[1]

    def get_tensor_profile_shape(self, name, p):
        r = next(r for r in self.profiles[p]["inputs"] if r["input"] == name)
        return r["min"], r["opt"], r["max"]

    def create_execution_context(self):
        return Context(self)


class Context:
    def __init__(self, engine):
        self.engine, self.profile, self.shapes, self.addresses = engine, None, {}, {}

    def set_optimization_profile_async(self, p, stream):
        self.profile = p
        return True

    def set_input_shape(self, name, shape):
        low, _, high = self.engine.get_tensor_profile_shape(name, self.profile)
        self.shapes[name] = tuple(shape)
        return all(a <= d <= b for a, d, b in zip(low, shape, high))

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return bool(address)

    def view(self, name, shape):
        kind = np.dtype(self.engine.get_tensor_dtype(name))
        n = int(np.prod(shape))
        raw = (ctypes.c_char * (n * kind.itemsize)).from_address(self.addresses[name])
        return np.frombuffer(raw, kind, n).reshape(shape)

    def execute_async_v3(self, stream):
        inputs = {v.name: self.view(v.name, self.shapes[v.name]).copy() for v in self.engine.session.get_inputs()}
        names = [v.name for v in self.engine.session.get_outputs()]
        for name, out in zip(names, self.engine.session.run(names, inputs)):
            self.view(name, out.shape)[...] = out
        return True
