"""A side of `make bench`: torch.onnx.export (TorchScript, dynamo=False) of a
GPT-2 with past keys and values, the model already loaded.

usage: torch_export.py CHECKPOINT OUT.onnx
"""
import sys
import time
import warnings

import torch
from transformers import GPT2LMHeadModel
from transformers.cache_utils import DynamicCache

warnings.filterwarnings("ignore")
checkpoint, out = sys.argv[1:]
model = GPT2LMHeadModel.from_pretrained(checkpoint, attn_implementation="eager", local_files_only=True).eval()
layers, heads = model.config.n_layer, model.config.n_head
size = model.config.n_embd // heads


class WithPast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, positions, *past):
        cache = DynamicCache()
        for i in range(layers):
            cache.update(past[2 * i], past[2 * i + 1], i)
        said = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        present = [t for layer in said.past_key_values.layers for t in (layer.keys, layer.values)]
        return (said.logits, *present)


batch, seq, past = 2, 3, 5
args = (torch.randint(0, 97, (batch, seq)), torch.ones(batch, past + seq, dtype=torch.int64),
        torch.arange(past, past + seq)[None].repeat(batch, 1),
        *(torch.randn(batch, heads, past, size) for _ in range(2 * layers)))
caches = [f"past_key_values.{i}.{k}" for i in range(layers) for k in ("key", "value")]
inputs = ["input_ids", "attention_mask", "position_ids", *caches]
outputs = ["logits", *(f"present.{i}.{k}" for i in range(layers) for k in ("key", "value"))]
axes = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "total"}, "position_ids": {0: "batch", 1: "seq"}}
axes |= {name: {0: "batch", 2: "past"} for name in caches}
wrapped = WithPast()

print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        torch.onnx.export(wrapped, args, out, input_names=inputs, output_names=outputs, dynamic_axes=axes,
                          opset_version=20, dynamo=False, verbose=False)
    print(1e3 * (time.perf_counter() - start), flush=True)
