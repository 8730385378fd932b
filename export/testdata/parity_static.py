"""Compares graphs with a static cache with transformers' FP32 eager attention.

    parity_static.py DIR...

Each DIR holds config.json and model.safetensors (transformers reads them) and
model-static.onnx and model-static-last.onnx (ONNX Runtime runs them). Prints one
JSON object a DIR: the largest absolute differences of logits (all and last) and of
the cache at columns that are no padding, how many were compared, whether every
value was finite, and "shifted": the largest difference of logits where keys are
written one column further to the right than they should be.

The text fills the buffer to its last column: a batch with left padding, a prompt,
two chunks after it, then single tokens. Before that the buffer holds numbers that
would be noticed: what is not written yet must not count.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers

from parity import reference

PROMPT = [4, 3, 2]  # the prompt and two chunks
PADDING = [0, 1, 3, 6]  # the last reaches beyond the prompt


def batch(config, length, rng):
    """ids, mask and positions of a left-padded batch, as transformers' generate makes them."""
    ids = rng.integers(0, config.vocab_size, (len(PADDING), length))
    mask = np.ones_like(ids)
    for row, padding in enumerate(PADDING):
        mask[row, :padding] = 0
    return ids, mask, np.maximum(np.cumsum(mask, axis=1) - 1, 0)


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def capacity(session):
    return int(session.get_modelmeta().custom_metadata_map["trtforge.capacity"])


def pieces(session, ids, mask, positions, shift=0):
    """Runs the graph piece by piece; yields the piece's end, its logits and the cache after it."""
    size = capacity(session)
    names = [o.name for o in session.get_outputs()]
    rng = np.random.default_rng(1)
    cache = {}
    for i in session.get_inputs():
        if i.name.startswith("past_key_values."):
            shape = (len(ids), *i.shape[1:])
            cache[i.name] = (50 * rng.standard_normal(shape)).astype(np.float32)
    end = 0
    for length in PROMPT + [1] * (ids.shape[1] - sum(PROMPT)):
        start, end = end, end + length
        seen = np.zeros((len(ids), size), np.int64)
        seen[:, :end] = mask[:, :end]
        feeds = {
            "input_ids": ids[:, start:end],
            "attention_mask": seen,
            "position_ids": positions[:, start:end],
            "cache_position": np.minimum(np.arange(start, end) + shift, size - 1),
        }
        out = dict(zip(names, session.run(names, feeds | cache)))
        cache = {n.replace("present.", "past_key_values."): v for n, v in out.items() if n != "logits"}
        yield start, end, out["logits"], cache


def compare(directory):
    session = open_session(directory / "model-static.onnx")
    config = transformers.GPT2Config.from_pretrained(directory)
    ids, mask, positions = batch(config, capacity(session), np.random.default_rng(7))
    _, want, want_cache = reference(directory, ids, mask, positions)
    valid = mask == 1
    row = {"logits": 0.0, "last": 0.0, "cache": 0.0, "shifted": 0.0, "compared": 0, "end": 0}
    finite = True
    for start, end, logits, cache in pieces(session, ids, mask, positions):
        here = valid[:, start:end]
        difference = np.abs(logits - want[:, start:end])[here]
        row["compared"] += difference.size
        row["end"] = end
        row["logits"] = max(row["logits"], float(difference.max()))
        finite = finite and bool(np.isfinite(logits).all())
        rows = np.nonzero(valid[:, :end])
        for name, value in cache.items():
            expected = want_cache[name.removeprefix("past_key_values.")][:, :, :end].transpose(0, 2, 1, 3)[rows]
            row["cache"] = max(row["cache"], float(np.abs(value.transpose(0, 2, 1, 3)[rows] - expected).max()))
            finite = finite and bool(np.isfinite(value).all())
    for start, end, logits, _ in pieces(session, ids, mask, positions, shift=1):
        row["shifted"] = max(row["shifted"], float(np.abs(logits - want[:, start:end])[valid[:, start:end]].max()))
    last = open_session(directory / "model-static-last.onnx")
    for _, end, logits, _ in pieces(last, ids, mask, positions):
        if logits.shape[1] != 1:
            raise SystemExit(f"{directory}: model-static-last.onnx gives {logits.shape[1]} positions")
        row["last"] = max(row["last"], float(np.abs(logits[:, 0] - want[:, end - 1])[valid[:, end - 1]].max()))
    return row | {"finite": finite}


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps(compare(Path(name))), flush=True)
