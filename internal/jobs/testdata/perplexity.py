"""Perplexities as others define them: perplexity.py IDS < {MODEL: [[RULE, LENGTH, ...], ...]}

Written from Hugging Face's documentation ("Perplexity of fixed-length models"),
the GPTQ evaluation and llama.cpp's llama-perplexity, with transformers' own loss
where they use it. IDS is a file of uint32. Prints a list for each MODEL, one a RULE.
"""

import json
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM

torch.set_grad_enabled(False)
torch.set_num_threads(2)
ids = torch.from_numpy(numpy.fromfile(sys.argv[1], dtype="<u4").astype(numpy.int64))[None]


def strided(model, length, stride):
    total, tokens, previous, n = 0.0, 0, 0, ids.shape[1]
    for begin in range(0, n, stride):
        end = min(begin + length, n)
        labels = ids[:, begin:end].clone()
        labels[:, :-(end - previous)] = -100
        loss = model(ids[:, begin:end], labels=labels).loss
        count = int((labels != -100).sum()) - 1
        if count > 0:
            total, tokens = total + float(loss) * count, tokens + count
        previous = end
        if end == n:
            break
    return float(numpy.exp(total / tokens))


def nonoverlap(model, length):
    parts = [ids[:, i * length:(i + 1) * length] for i in range(ids.shape[1] // length)]
    return float(numpy.exp(numpy.mean([float(model(p, labels=p).loss) for p in parts])))


def llama(model, length):
    nll, count, first = 0.0, 0, length // 2
    for chunk in range(ids.shape[1] // length):
        tokens = ids[0, chunk * length:(chunk + 1) * length].numpy()
        logits = model(torch.from_numpy(tokens)[None]).logits[0].numpy().astype(numpy.float64)
        for i in range(first, length - 1):
            row = logits[i] - logits[i].max()
            nll += numpy.log(numpy.exp(row).sum()) - row[tokens[i + 1]]
            count += 1
    return float(numpy.exp(nll / count))


rules = {"hf-strided": strided, "hf-nonoverlap": nonoverlap, "llama-chunks": llama}
answers = {}
for path, asked in json.load(sys.stdin).items():
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    answers[path] = [rules[name](model, *numbers) for name, *numbers in asked]
print(json.dumps(answers))
