#!/usr/bin/env python3
"""Trains the demo model: a small GPT-2 on the Opticks text of a Go installation.

    python train.py --text "$(go env GOROOT)/src/testdata/Isaac.Newton-Opticks.txt"

The text is cut in three (split/split.json): the tokenizer and the weights see the
first part only, the second is what calibration reads and what decides when to
stop, the third is for evaluation and is read once, at the end. Everything is
seeded and the number of steps is fixed, so the same machine with the same
versions gives the same bytes; train.log and metrics.json are written beside this file.
"""

import argparse
import hashlib
import json
import math
import pathlib
import time

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel

HERE = pathlib.Path(__file__).resolve().parent
VOCAB, POSITIONS, WIDTH, LAYERS, HEADS = 2048, 512, 256, 4, 4
CALIBRATE_BYTES, EVALUATE_BYTES = 60_000, 17_500
SEED, THREADS = 1704, 2
STEPS, WARMUP, BATCH, PEAK_LR, DECAY, DROPOUT = 700, 60, 6, 1.5e-3, 0.1, 0.2
EVERY = 50


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--text", required=True, help="Isaac.Newton-Opticks.txt")
    args.add_argument("--out", default=str(HERE), help="where model/ and the records go")
    args.add_argument("--steps", type=int, default=STEPS, help="for trials; the committed model used the default")
    opts = args.parse_args()
    out = pathlib.Path(opts.out)
    (out / "model").mkdir(parents=True, exist_ok=True)

    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)

    text = pathlib.Path(opts.text).read_bytes()
    parts = split(text, out)
    tokenizer = train_tokenizer(parts["train"], out / "model")
    ids = {name: torch.tensor(tokenizer.encode(part).ids) for name, part in parts.items()}
    with open(out / "train.log", "w") as log:
        def say(line):
            print(line, flush=True)
            print(line, file=log, flush=True)
        say(f"torch {torch.__version__}, transformers {transformers.__version__}, {THREADS} threads, seed {SEED}")
        say("tokens: " + ", ".join(f"{name} {len(part)}" for name, part in ids.items()))
        model = train(ids, opts.steps, say)
        save(model, tokenizer, out / "model")
        measure(ids, out, say)


def split(text, out):
    """The three parts, cut where a paragraph ends, and split/split.json."""
    cut = [text.index(b"\n\n", len(text) - CALIBRATE_BYTES - EVALUATE_BYTES) + 2,
           text.index(b"\n\n", len(text) - EVALUATE_BYTES) + 2, len(text)]
    ranges = dict(zip(("train", "calibrate", "evaluate"), zip([0, *cut], cut)))
    record = {"file": "Isaac.Newton-Opticks.txt", "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest(), "parts": {
        name: {"begin": a, "end": b, "sha256": hashlib.sha256(text[a:b]).hexdigest()} for name, (a, b) in ranges.items()}}
    (out / "split").mkdir(exist_ok=True)
    write_json(out / "split" / "split.json", record)
    return {name: text[a:b].decode() for name, (a, b) in ranges.items()}


def train_tokenizer(text, directory):
    """A GPT-2 style byte-level BPE: no normaliser, GPT-2's own pattern, all 256 bytes known."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.save(str(directory / "tokenizer.json"))
    tokenizer.model.save(str(directory))
    return tokenizer


def configuration(**changes):
    return GPT2Config(vocab_size=VOCAB, n_positions=POSITIONS, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
                      bos_token_id=0, eos_token_id=0, **changes)


def train(ids, steps, say):
    """AdamW, linear warm-up, cosine decay; the weights with the lowest loss on the calibration part win."""
    # The fused form of the same function as gelu_new, which the saved config names.
    model = GPT2LMHeadModel(configuration(activation_function="gelu_pytorch_tanh", attn_implementation="sdpa",
                                          resid_pdrop=DROPOUT, embd_pdrop=DROPOUT, attn_pdrop=0.0))
    say(f"parameters: {sum(p.numel() for p in model.parameters())}")
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() < 2]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
                             lr=PEAK_LR, betas=(0.9, 0.95))
    draw = torch.Generator().manual_seed(SEED)
    best, kept, begin, recent = math.inf, None, time.monotonic(), []
    for step in range(1, steps + 1):
        for group in adam.param_groups:
            group["lr"] = rate(step, steps)
        at = torch.randint(len(ids["train"]) - POSITIONS, (BATCH,), generator=draw)
        batch = torch.stack([ids["train"][a:a + POSITIONS] for a in at.tolist()])
        model.train()
        loss = model(batch, labels=batch).loss
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        recent.append(loss.item())
        if step % EVERY == 0 or step == steps:
            held, _ = score(model, ids["calibrate"])
            say(f"step {step:4d}  lr {rate(step, steps):.2e}  train loss {sum(recent) / len(recent):.4f}  "
                f"held-out loss {held:.4f}  perplexity {math.exp(held):.3f}  {time.monotonic() - begin:.0f} s")
            recent = []
            if held < best:
                best, kept = held, {k: v.detach().clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return model.eval()


def rate(step, steps):
    if step <= WARMUP:
        return PEAK_LR * step / WARMUP
    return PEAK_LR * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (steps - WARMUP))))


def score(model, ids):
    """(mean NLL, scored tokens) by hf-nonoverlap: windows of n_positions, the first token of each is context only, the tail dropped."""
    model.eval()
    windows = ids[:len(ids) // POSITIONS * POSITIONS].view(-1, POSITIONS)
    total = 0.0
    with torch.inference_mode():
        for window in windows:
            logits = model(window[None]).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    count = windows.shape[0] * (POSITIONS - 1)
    return total / count, count


def save(model, tokenizer, directory):
    """FP16 safetensors with the names of a published GPT-2, tied head stored once."""
    state = {k: v.half().contiguous() for k, v in model.state_dict().items()
             if k != "lm_head.weight" and not k.endswith((".attn.bias", ".attn.masked_bias"))}
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    config = configuration(activation_function="gelu_new", architectures=["GPT2LMHeadModel"], dtype="float16")
    write_json(directory / "config.json", config.to_dict())


def measure(ids, out, say):
    """PyTorch's FP32 perplexity of the FP16 weights as saved."""
    model = GPT2LMHeadModel.from_pretrained(out / "model", dtype=torch.float32, attn_implementation="eager")
    metrics = {"convention": f"hf-nonoverlap({POSITIONS})", "torch": torch.__version__, "transformers": transformers.__version__,
               "parameters": sum(p.numel() for p in model.parameters()), "vocabulary": VOCAB, "perplexity": {}}
    for part in ("train", "calibrate", "evaluate"):
        nll, count = score(model, ids[part])
        metrics["perplexity"][part] = {"value": math.exp(nll), "mean_nll": nll, "scored_tokens": count, "tokens": len(ids[part])}
        say(f"{part}: perplexity {math.exp(nll):.4f} over {count} tokens (FP32 of the FP16 weights)")
    write_json(out / "metrics.json", metrics)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    main()
