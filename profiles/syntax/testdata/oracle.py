#!/usr/bin/env python3
"""Reads profiles as other tools do: JSON lines of texts in, JSON lines of what they mean out.

usage: oracle.py polygraphy|trtexec|triton

polygraphy  Polygraphy's own `convert`, its argument parser and TrtConfigArgs
triton      protobuf text into tritonclient's ModelConfig
trtexec     its rules, written down once more from NVIDIA/TensorRT samples/common/sampleOptions.cpp
            (argsToArgumentsMap, getOptimizationProfiles, getAndDelOptionBehind, splitNameAndValue,
            removeSingleQuotationMarks, stringToValue); the program itself needs TensorRT

Command lines go through shlex, as through a shell. An answer is {"profiles": [{input: [min, opt,
max]}]} or {"error": text}; of triton it is the fields that we write.
"""
import importlib.util, json, os, re, shlex, sys


def polygraphy(text):
    from polygraphy.tools.args import TrtConfigArgs
    from polygraphy.tools.convert import Convert

    tool = Convert()
    parser = tool.setup_parser()
    args = parser.parse_args(["model.onnx", "--convert-to", "trt", "-o", "model.engine", *shlex.split(text)])
    config = tool.arg_groups[TrtConfigArgs]
    for group in tool.arg_groups.values():
        group.parse(args)
    return {"profiles": [{name: [list(s) for s in shapes] for name, shapes in p.items()} for p in config.profile_dicts]}


def stoi(text):
    n = int(re.match(r"\s*([+-]?[0-9]+)", text)[1])
    if not -2**31 <= n < 2**31:
        raise ValueError("stoi: " + text)
    return n


def shapes(value):
    out = {}
    for item in value.split(","):
        parts = item.split("'")
        if len(parts) not in (1, 3):
            raise ValueError("quotes: " + item)
        if len(parts) == 3:
            name, dims = parts[0] + parts[1], parts[2][1:]
        else:
            name, _, dims = item.rpartition(":")
        out[name.replace("'", "")] = [] if dims in ("", "scalar") else [stoi(d) for d in dims.split("x")]
    return out


def trtexec(text):
    flags = ("--minShapes", "--optShapes", "--maxShapes")
    args = [(a.partition("=")[0], a.partition("=")[2], i) for i, a in enumerate(shlex.split(text), 1)]
    numbered, groups = [a for a in args if a[0] == "--profile"], {}
    for _, value, position in numbered:
        lists = {}
        while (behind := [a for a in args if a[2] == position + 1 and a[0] in flags and a[0] not in lists]):
            lists[behind[0][0]] = shapes(behind[0][1])
            position += 1
        groups[stoi(value)] = lists
    if not numbered:
        groups[0] = {flag: shapes(value) for flag, value, _ in args if flag in flags}
    if sorted(groups) != list(range(len(groups))) or any(len(g) != 3 for g in groups.values()):
        raise ValueError("profiles " + str(sorted(groups)))
    return {"profiles": [{name: [groups[i][f][name] for f in flags] for name in groups[i][flags[0]]} for i in range(len(groups))]}


def model_config():
    """model_config_pb2 without tritonclient.grpc, whose package wants gRPC."""
    import tritonclient

    path = os.path.join(os.path.dirname(tritonclient.__file__), "grpc", "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def triton(text, pb=[]):
    from google.protobuf import text_format

    if not pb:
        pb.append(model_config())
    c = text_format.Parse(text, pb[0].ModelConfig())
    types = pb[0].DataType
    tensors = lambda all: [{"name": t.name, "type": types.Name(t.data_type), "dims": list(t.dims),
                            "reshape": t.HasField("reshape"), "values": t.is_shape_tensor} for t in all]
    accelerators = c.optimization.execution_accelerators.gpu_execution_accelerator
    return {"backend": c.backend, "max_batch_size": c.max_batch_size, "input": tensors(c.input), "output": tensors(c.output),
            "accelerators": [a.name for a in accelerators], "engine_profiles": [p for g in c.instance_group for p in g.profile],
            "options": {k: v for a in accelerators for k, v in a.parameters.items()} | {k: v.string_value for k, v in c.parameters.items()}}


if __name__ == "__main__":
    read = {"polygraphy": polygraphy, "trtexec": trtexec, "triton": triton}[sys.argv[1]]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Polygraphy logs to standard output
    for line in sys.stdin:
        try:
            answer = read(json.loads(line))
        except (Exception, SystemExit) as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        out.write(json.dumps(answer) + "\n")
