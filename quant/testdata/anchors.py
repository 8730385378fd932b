"""Other quantizers on the same graph, the same products and the same samples.

anchors.py ort METHOD GRAPH OUT IDS N LENGTH NODES      onnxruntime.quantization.quantize_static
anchors.py modelopt METHOD GRAPH OUT IDS N LENGTH NODES modelopt.onnx.quantization.quantize

METHOD is the tool's own word for its calibrator, with ORT optionally @PERCENTILE.
"""
import json
import re
import sys

import numpy as np
import onnx

tool, method, graph, out, ids, n, length, nodes = sys.argv[1:]
text, n, length, nodes = json.load(open(ids)), int(n), int(length), json.loads(nodes)
stratum = len(text) // n
inputs = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in onnx.load(graph, load_external_data=False).graph.input}


def feed(i):
    row = np.array([text[i * stratum:][:length]])
    fed = {"input_ids": row, "attention_mask": np.ones_like(row), "position_ids": np.arange(length)[None]}
    return {k: fed[k] if k in fed else np.zeros((1, d[1], 0, d[3]), np.float32) for k, d in inputs.items()}


class Samples:
    at = 0

    def get_next(self):
        self.at += 1
        return feed(self.at - 1) if self.at <= n else None

    def get_first(self):
        return feed(0)

    def rewind(self):
        self.at = 0


if tool == "ort":
    from onnxruntime import quantization as q

    name, _, percentile = method.partition("@")
    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "OpTypesToExcludeOutputQuantization": ["MatMul"], "MatMulConstBOnly": True}
    if percentile:
        extra["CalibPercentile"] = float(percentile)
    reader = type("Reader", (Samples, q.CalibrationDataReader), {})
    q.quantize_static(graph, out, reader(), quant_format=q.QuantFormat.QDQ, op_types_to_quantize=["MatMul"], nodes_to_quantize=nodes, per_channel=True,
                      activation_type=q.QuantType.QInt8, weight_type=q.QuantType.QInt8, calibrate_method=q.CalibrationMethod[name], extra_options=extra)
else:
    from modelopt.onnx.quantization import quantize

    quantize(graph, quantize_mode="int8", calibration_data_reader=Samples(), calibration_method=method, calibration_eps=["cpu"], op_types_to_quantize=["MatMul"],
             nodes_to_quantize=[f"^{re.escape(x)}$" for x in nodes], output_path=out, high_precision_dtype="fp32", log_level="ERROR")
done = onnx.load(out, load_external_data=False).graph
levels = {o for x in done.node if x.op_type == "DequantizeLinear" for o in x.output}
both = [x.name for x in done.node if x.op_type == "MatMul" and all(i in levels for i in x.input)]
print(json.dumps(len(both)))
