"""How far one model is from another, by PyTorch: kl.py IDS MODEL LENGTH TOPK OUT

Writes a copy of MODEL whose weights are a little off to OUT/model, MODEL's logits on
windows of LENGTH tokens (float32, position after position) to OUT/logits, and prints
figures of the copy against MODEL in float64, by torch's own kl_div. IDS is a file of
uint32.
"""

import json
import os
import sys

import numpy
import torch
from torch.nn.functional import kl_div, log_softmax
from transformers import AutoModelForCausalLM

torch.set_grad_enabled(False)
torch.set_num_threads(2)
ids_path, path, length, k, out = sys.argv[1:]
length, k = int(length), int(k)
ids = torch.from_numpy(numpy.fromfile(ids_path, dtype="<u4").astype(numpy.int64))
windows = ids[:len(ids) // length * length].view(-1, length)


def logits(model):
    return torch.cat([model(w[None]).logits[0, :-1] for w in windows])


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


model = load(path)
reference = logits(model)
reference.numpy().astype("<f4").tofile(os.path.join(out, "logits"))
torch.manual_seed(1)
for name, p in model.named_parameters():
    if p.dim() == 2:
        p += 0.02 * p.std() * torch.randn_like(p)
model.save_pretrained(os.path.join(out, "model"))
p, q = (log_softmax(x.double(), -1) for x in (reference, logits(model)))
top = torch.topk(p, k, dim=-1).indices


def merged(x):
    rest = torch.logsumexp(x.scatter(1, top, float("-inf")), -1, keepdim=True)
    return torch.cat([x.gather(1, top), rest], 1)


def figures(p, q):
    kl = kl_div(q, p, log_target=True, reduction="none").sum(-1).sort().values
    n = len(kl)
    rank = lambda share: float(kl[int(numpy.ceil(share * n)) - 1])
    return {"mean": float(kl.mean()), "p99": rank(0.99), "p999": rank(0.999), "max": float(kl[-1])}


target = windows[:, 1:].reshape(-1, 1)
change = (q.exp() - p.exp()).gather(1, target)
five = torch.topk(p, 5, dim=-1).indices
best = q.argmax(-1, keepdim=True)
json.dump({"full": figures(p, q), "top": figures(merged(p), merged(q)), "dprob": float(change.mean()), "rms": float((change**2).mean().sqrt()),
           "top1": float((best == five[:, :1]).double().mean()), "top5": float((best == five).any(-1).double().mean()),
           "ratio": float(torch.exp((p - q).gather(1, target).mean()))}, sys.stdout)
