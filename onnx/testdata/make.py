"""Writes the fixtures of package onnx with ONNX's own Python library.

Run with the interpreter of the runtime "oracle": python make.py [directory].
want.json holds what onnx.load reads from them: per weight its type, shape and
bytes (hexadecimal).
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
rng = np.random.default_rng(0)
want = {}


def model(nodes, inputs, outputs, weights, name="g", **kw):
    g = h.make_graph(nodes, name, inputs, outputs, weights)
    return h.make_model(g, ir_version=10, opset_imports=[h.make_opsetid("", 21)], **kw)


def record(path, base=out):
    m = onnx.load(base / path)
    want[path] = {
        t.name: {"type": t.data_type, "dims": list(t.dims), "bytes": dense(t).hex()}
        for t in m.graph.initializer if t.data_type != T.STRING
    }


def dense(t):
    a = nh.to_array(t)
    if t.data_type in (T.INT4, T.UINT4, T.FLOAT4E2M1):
        v = np.asarray(a).astype(np.int8).reshape(-1).view(np.uint8) & 15
        v = np.append(v, 0) if v.size % 2 else v
        return (v[0::2] | v[1::2] << 4).astype(np.uint8).tobytes()
    return np.ascontiguousarray(a).tobytes()


def io(*dims, name="x", t=T.FLOAT):
    return h.make_tensor_value_info(name, t, dims)


def matmul(w):
    return model([h.make_node("MatMul", ["x", "w"], ["y"], name="mm")],
                 [io("n", 20)], [io("n", 24, name="y")], [w])


w = nh.from_array(rng.standard_normal((20, 24), dtype=np.float32), "w")  # 1,920 bytes: stays in the file

# Weights as raw data, one of each size class, one without elements, a scalar.
m = matmul(w)
m.doc_string = "prose"
m.graph.initializer.extend([
    nh.from_array(np.zeros((0, 4), np.float32), "none"), nh.from_array(np.float32(3), "scalar")])
onnx.save(m, out / "raw.onnx")
record("raw.onnx")

# The same in external data of another name, with initializers in another order.
m2 = onnx.ModelProto()
m2.CopyFrom(m)
m2.doc_string, m2.producer_name = "other prose", "other"
del m2.graph.initializer[:]
m2.graph.initializer.extend(reversed(m.graph.initializer))
onnx.save_model(m2, out / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=16)
record("external.onnx")

# Typed lists, every type that make_tensor writes.
typed = []
for t, values in {
    T.FLOAT: [1.5, -2, 3], T.DOUBLE: [1.5, -2, 3], T.FLOAT16: [1.5, -2, 3], T.BFLOAT16: [1.5, -2, 3],
    T.INT8: [-128, 0, 127], T.UINT8: [0, 1, 255], T.INT16: [-32768, 0, 32767], T.UINT16: [0, 1, 65535],
    T.INT32: [-2**31, 0, 2**31 - 1], T.UINT32: [0, 1, 2**32 - 1], T.INT64: [-2**63, 0, 2**63 - 1],
    T.UINT64: [0, 1, 2**64 - 1], T.BOOL: [True, False, True], T.INT4: [-8, 7, 1], T.UINT4: [0, 15, 1],
    T.COMPLEX64: [1 + 2j, 3, 4j], T.COMPLEX128: [1 + 2j, 3, 4j],
    T.FLOAT8E4M3FN: [1.5, -2, 3], T.FLOAT8E5M2: [1.5, -2, 3],
}.items():
    typed.append(h.make_tensor(T.DataType.Name(t).lower(), t, [3], values))
typed.append(h.make_tensor("text", T.STRING, [2], [b"a", b"bc"]))
onnx.save(model([h.make_node("Identity", ["float"], ["y"])], [], [io(3, name="y")], typed), out / "typed.onnx")
record("typed.onnx")

# Initializers as inputs too, as before IR version 4.
m = matmul(w)
m.graph.input.append(io(20, 24, name="w"))
m.ir_version = 3
onnx.save(m, out / "old.onnx")
record("old.onnx")

# Subgraphs that take names from outside and have weights of their own, also external ones.
branch = h.make_graph([h.make_node("MatMul", ["x", "own"], ["t"]), h.make_node("Add", ["t", "b"], ["z"])],
                      "then", [], [io("n", 24, name="z")], [nh.from_array(nh.to_array(w), "own")])
other = h.make_graph([h.make_node("MatMul", ["x", "w"], ["u"])], "else", [], [io("n", 24, name="u")])
m = model([h.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=other)],
          [io("n", 20), io(name="c", t=T.BOOL)], [io("n", 24, name="y")],
          [w, nh.from_array(np.ones(24, np.float32), "b")])
onnx.save_model(m, out / "if.onnx", save_as_external_data=True, location="if.bin", size_threshold=16)
record("if.onnx")

# What the Go messages leave out: functions' fields, sparse weights, training info, annotations.
f = h.make_function("own", "Twice", ["a"], ["b"], [h.make_node("Add", ["a", "a"], ["b"])], [h.make_opsetid("", 21)])
m = model([h.make_node("Twice", ["x"], ["t"], domain="own"), h.make_node("Add", ["t", "s"], ["y"])],
          [io(2, 2)], [io(2, 2, name="y")], [], functions=[f])
m.opset_import.append(h.make_opsetid("own", 1))
m.graph.sparse_initializer.append(h.make_sparse_tensor(
    h.make_tensor("s", T.FLOAT, [1], [7.0]), h.make_tensor("at", T.INT64, [1], [3]), [2, 2]))
m.graph.quantization_annotation.add(tensor_name="y")
m.training_info.add()
onnx.save(m, out / "unknown.onnx")
record("unknown.onnx")

(out / "want.json").write_text(json.dumps(want, indent=1, sort_keys=True) + "\n")
