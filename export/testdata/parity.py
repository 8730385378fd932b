"""Compares exported graphs with transformers' FP32 eager attention.

    parity.py DIR...

Each DIR holds config.json and model.safetensors (transformers reads them) and
model.onnx and model-last.onnx (ONNX Runtime runs them). Prints one JSON object a
DIR: the largest absolute differences of logits (all and last) and of the cache
at positions that are no padding, the size of the logits, how many were compared,
and whether every value was finite, at padding too.

The text is a batch with left padding. transformers sees it in one pass without
a cache; the graphs see it in pieces (a prompt, a chunk after it, single tokens),
the cache of one piece being the past of the next.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers

PIECES = [5, 4, 1, 1]
PADDING = [0, 2, 4, 7]  # the last reaches beyond the first piece


def batch(config, rng):
    """ids, mask and positions of a left-padded batch, as transformers' generate makes them."""
    length = sum(PIECES)
    ids = rng.integers(0, config.vocab_size, (len(PADDING), length))
    mask = np.ones_like(ids)
    for row, padding in enumerate(PADDING):
        mask[row, :padding] = 0
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    return ids, mask, positions


def reference(directory, ids, mask, positions):
    """Logits and cache of the whole text in one pass."""
    model = transformers.GPT2LMHeadModel.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32
    ).eval()
    with torch.inference_mode():
        out = model(
            input_ids=torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            position_ids=torch.tensor(positions),
            use_cache=True,
        )
    cache = {}
    for i, layer in enumerate(out.past_key_values.layers):
        cache[f"{i}.key"], cache[f"{i}.value"] = layer.keys.numpy(), layer.values.numpy()
    return model.config, out.logits.numpy(), cache


def pieces(path, config, ids, mask, positions):
    """Runs the graph piece by piece; yields the piece's end, its logits and the cache after it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    shape = (len(ids), config.n_head, 0, config.n_embd // config.n_head)
    cache = {n.removeprefix("present."): np.zeros(shape, np.float32) for n in names if n != "logits"}
    end = 0
    for length in PIECES:
        start, end = end, end + length
        feeds = {
            "input_ids": ids[:, start:end],
            "attention_mask": mask[:, :end],
            "position_ids": positions[:, start:end],
        }
        feeds |= {f"past_key_values.{k}": v for k, v in cache.items()}
        out = dict(zip(names, session.run(names, feeds)))
        cache = {n.removeprefix("present."): v for n, v in out.items() if n != "logits"}
        yield start, end, out["logits"], cache


def compare(directory):
    config = transformers.GPT2Config.from_pretrained(directory)
    ids, mask, positions = batch(config, np.random.default_rng(7))
    config, want, want_cache = reference(directory, ids, mask, positions)
    valid = mask == 1
    row = {"logits": 0.0, "last": 0.0, "cache": 0.0, "max_logit": float(np.abs(want[valid]).max()), "compared": 0}
    finite = True
    for start, end, logits, cache in pieces(directory / "model.onnx", config, ids, mask, positions):
        here = valid[:, start:end]
        difference = np.abs(logits - want[:, start:end])[here]
        row["compared"] += difference.size
        row["logits"] = max(row["logits"], float(difference.max()))
        finite = finite and bool(np.isfinite(logits).all())
        for name, value in cache.items():
            rows = np.nonzero(valid[:, :end])
            got, expected = value.transpose(0, 2, 1, 3)[rows], want_cache[name][:, :, :end].transpose(0, 2, 1, 3)[rows]
            row["cache"] = max(row["cache"], float(np.abs(got - expected).max()))
            finite = finite and bool(np.isfinite(value).all())
    for _, end, logits, _ in pieces(directory / "model-last.onnx", config, ids, mask, positions):
        here = valid[:, end - 1]
        if logits.shape[1] != 1:
            raise SystemExit(f"{directory}: model-last.onnx gives {logits.shape[1]} positions")
        row["last"] = max(row["last"], float(np.abs(logits[:, 0] - want[:, end - 1])[here].max()))
    return row | {"finite": finite}


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps(compare(Path(name))), flush=True)
