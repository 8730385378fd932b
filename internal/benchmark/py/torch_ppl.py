"""A side of `make bench`: the perplexity of GPT-2 in PyTorch FP32, eager with sdpa, in
windows that do not overlap, as everybody's evaluation loop computes it.

usage: torch_ppl.py CHECKPOINT IDS WINDOW THREADS     (IDS: a file of uint32)
"""
import sys
import time
import warnings

import numpy
import torch
from transformers import GPT2LMHeadModel

warnings.filterwarnings("ignore")
checkpoint, ids, window, threads = *sys.argv[1:3], *map(int, sys.argv[3:])
torch.set_num_threads(threads)
model = GPT2LMHeadModel.from_pretrained(checkpoint, attn_implementation="sdpa", dtype=torch.float32, local_files_only=True).eval()
windows = torch.from_numpy(numpy.fromfile(ids, numpy.uint32).astype(numpy.int64)).reshape(-1, 1, window)

print("ready", flush=True)
with torch.inference_mode():
    for _ in sys.stdin:
        start = time.perf_counter()
        torch.stack([model(w, labels=w, use_cache=False).loss for w in windows]).mean().exp().item()
        print(1e3 * (time.perf_counter() - start), flush=True)
