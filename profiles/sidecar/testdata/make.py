#!/usr/bin/env python3
"""Writes .profile files with Google's own FlexBuffers builder, as ONNX Runtime does.

usage: make.py DIR             the fixtures
       make.py --random N      N random ones, a line of JSON each: the bytes and what is in them

ONNX Runtime (tensorrt_execution_provider_utils.h, SerializeProfile and SerializeProfileV2)
starts a map, adds a typed vector for each tensor of an unordered map, in it the integers of
each dimension of another unordered map, and for each dimension all profiles. Order in the
hash maps is anyone's; the builder sorts the keys.
"""
import base64, json, os, random, sys

from flatbuffers import flexbuffers


def v1(tensors):
    """{tensor: {dim: (min, max)}}"""
    b = flexbuffers.Builder()
    with b.Map():
        for name, dims in tensors.items():
            with b.TypedVector(name):
                for dim, (low, high) in dims.items():
                    b.Int(dim), b.Int(low), b.Int(high)
    return bytes(b.Finish())


def v2(tensors):
    """{tensor: {dim: [(min, max, opt) a profile]}}"""
    b = flexbuffers.Builder()
    with b.Map():
        for name, dims in tensors.items():
            with b.TypedVector(name):
                for dim, profiles in dims.items():
                    for low, high, opt in profiles:
                        b.Int(dim), b.Int(low), b.Int(high), b.Int(opt)
    return bytes(b.Finish())


def decoder(layers):
    batch, seq, past, total = [(1, 4, 1), (1, 4, 1)], [(8, 512, 64), (1, 1, 1)], [(0, 0, 0), (8, 1023, 128)], [(8, 512, 64), (9, 1024, 129)]
    tensors = {"attention_mask": {1: total, 0: batch}, "input_ids": {0: batch, 1: seq}, "token_type": {}}
    for i in reversed(range(layers)):
        for kind in ("value", "key"):
            tensors[f"past_key_values.{i}.{kind}"] = {2: past, 0: batch}
    return tensors


FIXTURES = {
    "decoder.profile": v2(decoder(2)),
    "one.profile": v2({"input_ids": {1: [(1, 8, 8)]}}),
    "wide.profile": v2({"x": {0: [(1, 70000, 300)], 3: [(0, 2**31 - 1, 5)]}, "kv_slice": {0: [(-1, 4, 2)]}}),
    "v1.profile": v1({"input_ids": {0: (1, 4), 1: (1, 512)}, "mask": {1: (1, 512)}}),
    "either.profile": v2({"x": {0: [(1, 1, 1)], 1: [(2, 2, 2)], 2: [(3, 3, 3)]}}),
    "empty.profile": v2({}),
}


def some(r):
    count = r.randint(1, 4)
    tensors = {}
    for i in range(r.choice([1, 3, 40, 400])):
        dims = {}
        for dim in r.sample(range(8), r.randint(0, 4)):
            top = r.choice([2, 200, 40000, 2**31 - 1])
            dims[dim] = [(a, c, b) for a, b, c in (sorted(r.randint(0, top) for _ in range(3)) for _ in range(count))]
        tensors[f"t{i}" + "/" * r.randint(0, 3) + "x" * r.choice([0, 1, 300])] = dims
    return tensors


if __name__ == "__main__":
    if sys.argv[1] == "--random":
        r = random.Random(7)
        for _ in range(int(sys.argv[2])):
            tensors = some(r)
            print(json.dumps({"bytes": base64.b64encode(v2(tensors)).decode(), "tensors": tensors}))
    else:
        for name, data in FIXTURES.items():
            with open(os.path.join(sys.argv[1], name), "wb") as f:
                f.write(data)
