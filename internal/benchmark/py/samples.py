"""Writes token ids as the samples that ptq.py reads: prefills with an empty past.

usage: samples.py IDS.txt TOKENS LAYERS HEADS SIZE OUT.npz
"""
import sys

import numpy

path, out = sys.argv[1], sys.argv[6]
tokens, layers, heads, size = map(int, sys.argv[2:6])
windows = numpy.loadtxt(path, dtype=numpy.int64).reshape(-1, 1, tokens)
feeds = {}
for i, ids in enumerate(windows):
    feeds[f"{i}/input_ids"], feeds[f"{i}/position_ids"] = ids, numpy.arange(tokens)[None]
    feeds[f"{i}/attention_mask"] = numpy.ones((1, tokens), numpy.int64)
    for layer in range(layers):
        for kind in ("key", "value"):
            feeds[f"{i}/past_key_values.{layer}.{kind}"] = numpy.zeros((1, heads, 0, size), numpy.float32)
numpy.savez(out, **feeds)
