"""What others make of calibration tables, and what they write.

    oracle.py read-ort FILE    ONNX Runtime's own FlatBuffers classes
    oracle.py write-ort DIR    ONNX Runtime's write_calibration_table, ranges on stdin
    oracle.py read-trt FILE    TensorRT's rules, read independently with struct

Names and magnitudes go to standard output as JSON, in the order of the file.
"""

import json
import struct
import sys

import numpy as np


def read_ort(path):
    from onnxruntime.quantization.CalTableFlatBuffers.TrtTable import TrtTable

    table = TrtTable.GetRootAs(open(path, "rb").read(), 0)
    entries = [table.Dict(i) for i in range(table.DictLength())]
    return [[e.Key().decode(), float(np.float32(e.Value().decode()))] for e in entries]


def write_ort(directory):
    from onnxruntime.quantization.calibrate import TensorData
    from onnxruntime.quantization.quant_utils import write_calibration_table

    ranges = json.load(sys.stdin)
    write_calibration_table(
        {name: TensorData(lowest=np.float32(lo), highest=np.float32(hi)) for name, (lo, hi) in ranges.items()}, directory
    )
    return []


def read_trt(path):
    lines = open(path, encoding="utf-8").read().splitlines()
    prefix, version, calibrator = lines[0].split("-")
    assert prefix == "TRT" and version == "101303" and calibrator == "EntropyCalibration2", lines[0]
    entries = []
    for line in lines[1:]:
        name, digits = line.rsplit(": ", 1)
        (scale,) = struct.unpack(">f", bytes.fromhex(digits))
        entries.append([name, float(np.float32(scale) * np.float32(127))])
    return entries


json.dump({"read-ort": read_ort, "write-ort": write_ort, "read-trt": read_trt}[sys.argv[1]](sys.argv[2]), sys.stdout)
