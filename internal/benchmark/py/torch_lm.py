"""A side of `make bench`: GPT-2 in PyTorch FP32, eager with sdpa: a prefill of DEPTH tokens,
or decode steps on a cache that is DEPTH long, batch 1.

usage: torch_lm.py CHECKPOINT prefill|decode DEPTH STEPS THREADS
"""
import sys
import time
import warnings

import numpy
import torch
from transformers import GPT2LMHeadModel
from transformers.cache_utils import DynamicCache

warnings.filterwarnings("ignore")
checkpoint, phase, depth, steps, threads = *sys.argv[1:3], *map(int, sys.argv[3:])
torch.set_num_threads(threads)
model = GPT2LMHeadModel.from_pretrained(checkpoint, attn_implementation="sdpa", dtype=torch.float32, local_files_only=True).eval()
prompt, one = torch.ones((1, depth), dtype=torch.int64), torch.ones((1, 1), dtype=torch.int64)


def prefill():
    cache = DynamicCache()
    model(prompt, past_key_values=cache, use_cache=True).logits[0, -1].argmax()
    return cache


print("ready", flush=True)
with torch.inference_mode():
    for _ in sys.stdin:
        times, cache = [], None if phase == "prefill" else prefill()
        for _ in range(steps):
            start = time.perf_counter()
            if phase == "prefill":
                prefill()
            else:
                model(one, past_key_values=cache, use_cache=True).logits[0, -1].argmax()
            times.append(1e3 * (time.perf_counter() - start))
        print(numpy.median(times), flush=True)
