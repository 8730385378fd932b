"""Outside judges of Infer. Run with the interpreter of the runtime "oracle".

infer.py cases DIR OP...   writes ONNX's own test models of these operators as
                           DIR/NAME.onnx; their outputs state type and shape
infer.py run FILE...       runs each model and holds its value_info, all of it,
                           to what ONNX Runtime computes, at several sizes
"""
import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

warnings.filterwarnings("ignore")


def cases(folder, *ops):
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        m = case.model
        if m and m.graph.node[0].op_type in ops and m.ByteSize() < 1 << 20:
            onnx.save(m, pathlib.Path(folder) / (case.name + ".onnx"))


def dims(v):
    t = v.type.tensor_type
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in t.shape.dim] if t.HasField("shape") else None


def run(*paths):
    for path in paths:
        m = onnx.load(path)
        onnx.checker.check_model(path)
        ours = {v.name: v for v in m.graph.value_info}
        made = [o for n in m.graph.node for o in n.output if o]
        outputs = {o.name for o in m.graph.output}
        missing = [n for n in made if n not in ours and n not in outputs]
        m.graph.output.extend(ours[n] for n in made if n in ours)
        del m.graph.value_info[:]
        for o in m.graph.output:  # ONNX Runtime is not to believe us
            o.type.tensor_type.ClearField("shape")
        onnx.save(m, path + ".all")
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = ort.InferenceSession(path + ".all", options, providers=["CPUExecutionProvider"])
        still = 0
        for batch, seq, past in (2, 3, 5), (1, 1, 4), (3, 4, 0), (1, 1, 1):
            size = dict(batch=batch, seq=seq, past=past, total=past + seq, min=min, max=max)
            fill = lambda d: eval(d, {}, size) if isinstance(d, str) else d
            feeds = {}
            for v in m.graph.input:
                t = helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
                feeds[v.name] = np.full([fill(d) for d in dims(v)], t.kind == "i", t)
            for name, x in zip(made, session.run(made, feeds)):
                if name not in ours:
                    continue
                d = dims(ours[name])
                assert x.dtype == helper.tensor_dtype_to_np_dtype(ours[name].type.tensor_type.elem_type), name
                assert d is None or len(d) == x.ndim and all(e == "" or fill(e) == n for e, n in zip(d, x.shape)), (name, d, x.shape)
                still += d is None or "" in d
        print(pathlib.Path(path).name, len(ours), "values,", len(missing), "missing,", still, "open")


globals()[sys.argv[1]](*sys.argv[2:])
