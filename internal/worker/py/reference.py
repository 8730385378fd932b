"""PyTorch's side of a comparison: what the model predicts for a text, in FP32.

Job "bundle" scores the windows of a text and writes bundle.json and bundle.bin
into the directory it is given, in the form that package validate reads:
for each scored token NLL, logsumexp and tail mass as float32, then top_k ids
(uint16 up to 65536 tokens, else uint32) and top_k log-probabilities as float32,
all little-endian, row after row. Log-probabilities are computed in float64 from
float32 logits.

Job "stream" writes the logits themselves into a pipe, for KL over the whole
vocabulary; job "noise" compares the model in another type with itself in FP32;
job "tokenize" encodes a text for models whose tokenizer is no byte-level BPE.
The windows of a convention are those of package validate.

Job "bench" times the model as timing.py says.
"""

import base64
import hashlib
import json
import math
import os
import platform
import re
import sys

import wire

KEYS = ("model", "ids", "convention", "threads", "attention")


def prepare():
    """Imports what is slow, before the parent is told that the worker is ready."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"
    import torch
    import transformers
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return versions()


def versions():
    import torch
    import transformers
    return {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()}


def bundle(call):
    """Request: model (a Hugging Face directory), ids (a file of uint32), convention
    ("hf-nonoverlap(512)"), out (an existing directory), top_k, threads (0 = as
    it is), attention ("eager" or "sdpa"), digests, created_by; greedy: prompts,
    prompt_tokens and new_tokens of greedy continuations, or nothing."""
    import torch
    request = call.request
    model, ids, cut = prepared(request, "out", "top_k", "digests", "created_by")
    vocab = model.config.vocab_size
    header = {
        "kind": "bundle", "schema_version": 1, "created_by": request["created_by"], "convention": request["convention"],
        "tokens": len(ids), "windows": len(cut), "rows": sum(w.rows for w in cut), "vocab": vocab,
        "top_k": min(request["top_k"], vocab), "id_bytes": 2 if vocab <= 1 << 16 else 4,
    }
    path = os.path.join(request["out"], "bundle.bin")
    total = weights = 0.0
    with open(path, "xb") as out, torch.inference_mode():
        digest = hashlib.sha256()
        for i, w in enumerate(cut):
            for part, target in zip(scored(model, w).split(64), torch.tensor(w.ids[w.first + 1:]).split(64)):
                rows, nll = encode(part, target, header)
                out.write(rows)
                digest.update(rows)
                for v in nll:  # in order, as the reader adds them up
                    total += w.weight * v
                    weights += w.weight
            call.progress(i + 1, len(cut), "windows scored by PyTorch")
        out.flush()
        os.fsync(out.fileno())
        continued = greedy(model, ids, request.get("greedy"))
    mean = total / weights
    header |= {
        "mean_nll": mean, "perplexity": math.exp(mean), "digests": request["digests"], "data_sha256": digest.hexdigest(),
        "settings": {"dtype": "float32", "attention": request["attention"], "tf32": "off", "threads": str(torch.get_num_threads())},
        "versions": versions(),
    }
    if layers := getattr(model.config, "num_hidden_layers", None):
        header["settings"]["layers"] = str(layers)
    if continued:
        header["greedy"] = continued
    write_json(os.path.join(request["out"], "bundle.json"), header)
    return {"perplexity": header["perplexity"], "rows": header["rows"], "windows": len(cut), "versions": header["versions"]}


def stream(call):
    """Request: as of bundle without out, top_k and digests, and pipe (the path of a
    FIFO), groups (lists of windows that the reader runs together), prompt (tokens
    that its decoder is given at once; 0 = it runs whole windows). Writes float32
    logits row after row, in the order in which the reader makes its own."""
    import torch
    request = call.request
    model, _, cut = prepared(request, "pipe", "groups", "prompt")
    done, total = 0, sum(len(g) for g in request["groups"])
    with open(request["pipe"], "wb", buffering=0) as out, torch.inference_mode():
        for group in request["groups"]:
            windows = [cut[i] for i in group]
            logits = [scored(model, w) for w in windows]
            whole = windows[0].rows
            head = whole if request["prompt"] == 0 else min(whole, max(request["prompt"] - windows[0].first, 1))
            for l in logits:
                for part in l[:head].split(64):
                    wire.write_all(out.fileno(), part.contiguous().numpy())
            for t in range(head, whole):
                for l in logits:
                    wire.write_all(out.fileno(), l[t].contiguous().numpy())
            done += len(group)
            call.progress(done, total, "windows scored by PyTorch")
    return {"windows": total}


def noise(call):
    """Request: as of bundle without out, top_k and digests, and dtype ("bfloat16").
    The model in that type against itself in FP32, as package validate's Score."""
    import torch
    request = call.request
    model, ids, cut = prepared(request, "dtype")
    other = load(request["model"], request["attention"], getattr(torch, request["dtype"]))
    rows = sum(w.rows for w in cut)
    worst = {"worst_kl": ("kl", 0.99), "worst_logit": ("logit", 0.999)}
    sums = {k: (torch.zeros(len(cut), dtype=torch.double), torch.zeros(max(len(w.ids) for w in cut) - 1, dtype=torch.double))
            for k in ("nll", "ref_nll", "kl", "dprob", "dprob_squares")}
    kept = {k: torch.empty(0, dtype=torch.double) for k in worst}
    score = {"phase": "prefill", "convention": request["convention"], "tokens": len(ids), "windows": list(range(len(cut))), "rows": rows,
             "max_delta": 0.0, "top1": 0, "top5": 0, "top_k": 0, "non_finite": 0}
    with torch.inference_mode():
        for i, w in enumerate(cut):
            at = w.first
            for z, y, t in zip(scored(model, w).split(64), scored(other, w).split(64), torch.tensor(w.ids[w.first + 1:]).split(64)):
                of = compare(z.double(), y.double(), t)
                for k, (windows, positions) in sums.items():
                    windows[i] += of[k].sum()
                    positions[at:at + len(t)] += of[k]
                for k, (name, q) in worst.items():
                    kept[k] = largest(torch.cat([kept[k], of[name]]), rows, q)
                score["max_delta"] = max(score["max_delta"], float(of["delta"].max()))
                score["top1"] += int(of["top1"].sum())
                score["top5"] += int(of["top5"].sum())
                broken = (~torch.isfinite(of["nll"])).nonzero()[:, 0].tolist()
                if broken and not score["non_finite"]:
                    score["bad"] = {"window": i, "position": at + broken[0]}
                score["non_finite"] += len(broken)
                at += len(t)
            call.progress(i + 1, len(cut), f"windows scored by PyTorch in {request['dtype']}")
    if not math.isfinite(score["max_delta"]):
        score["max_delta"] = "+Inf"
    return score | {k: {"windows": packed(w), "positions": packed(p)} for k, (w, p) in sums.items()} | {k: packed(v) for k, v in kept.items()}


def packed(values):
    """Numbers as package validate's Floats."""
    return base64.b64encode(values.numpy().astype("<f8").tobytes()).decode()


def largest(values, rows, q):
    """Of the values the largest, falling: as many as tell quantile q of so many rows by nearest rank."""
    import torch
    keep = rows - min(max(math.ceil(q * rows) - 1, 0), rows - 1)
    return torch.topk(values, min(keep, len(values))).values


def compare(z, y, target):
    """What package validate says of rows of logits y where the reference's are z, over the whole vocabulary."""
    import torch
    p, q = torch.log_softmax(z, -1), torch.log_softmax(y, -1)
    nll, ref = (-x.gather(1, target[:, None])[:, 0] for x in (q, p))
    nll = torch.where(torch.isfinite(q).all(-1), nll, torch.inf)
    top = y.argmax(-1, keepdim=True)
    above = (z > z.gather(1, top)).sum(-1)
    dprob = (-nll).exp() - (-ref).exp()
    return {"nll": nll, "ref_nll": ref, "kl": (p.exp() * (p - q)).sum(-1), "delta": (p - q).abs().amax(-1), "logit": (z - y).abs().amax(-1),
            "dprob": dprob, "dprob_squares": dprob ** 2, "top1": top[:, 0] == z.argmax(-1), "top5": above < 5}


def tokenize(call):
    """Request: model (a directory with a tokenizer of any kind), text (a file of
    UTF-8), out (a file to be). Encodes it whole, without special tokens."""
    import array
    from transformers import AutoTokenizer
    request = call.request
    try:
        tokenizer = AutoTokenizer.from_pretrained(request["model"], local_files_only=True)
    except (OSError, ValueError, KeyError) as e:
        raise wire.Fault("input", f"transformers finds no tokenizer in {request['model']}: {e}", "give the directory of a checkpoint with its tokenizer") from e
    with open(request["text"], encoding="utf-8", newline="") as f:
        text = f.read().removeprefix("\ufeff")
    call.progress(0, 0, "encoding")
    ids = array.array("I", tokenizer.encode(text, add_special_tokens=False, verbose=False))
    if sys.byteorder == "big":
        ids.byteswap()
    with open(request["out"], "xb") as f:
        ids.tofile(f)
    return {"tokens": len(ids)}


class Window:
    """Tokens that the model sees at once; logits from position first on are scored,
    each with that weight in the perplexity."""

    def __init__(self, ids, first, weight=1.0):
        self.ids, self.first, self.weight = ids, first, weight
        self.rows = len(ids) - 1 - first


def windows_of(convention, ids):
    """The windows of a text, see package validate for the rules."""
    name, length, bos, second = parse(convention)
    if name == "hf-strided":
        cut, stride = [], second
        for begin in range(0, len(ids) - length + stride, stride) if len(ids) >= length else ():
            part = ids[begin:begin + length]
            first = length - stride - 1 if begin and stride < length else 0
            rows = len(part) - 1 - first
            if rows > 0:
                cut.append(Window(part, first, (rows - 1) / rows if begin and stride < length else 1.0))
        return cut
    if bos:
        ids = [second] + ids
    if name == "llama-chunks" and len(ids) < 2 * length:
        return []
    parts = [ids[b:b + length] for b in range(0, len(ids) - length + 1, length)]
    if name == "llama-chunks":
        return [Window([second] + p[1:] if bos else p, length // 2) for p in parts]
    return [Window(p, 0) for p in parts]


def parse(convention):
    """(name, length, whether there is a BOS, stride or BOS)."""
    m = re.fullmatch(r"([a-z-]+)\((\d{1,9})(?:,(bos=)?(\d{1,9}))?\)", convention)
    if m:
        name, length, bos, second = m[1], int(m[2]), bool(m[3]), int(m[4] or 0)
        if length >= 2 and (name == "hf-nonoverlap" and not m[4] or name == "hf-strided" and not bos and 1 <= second <= length
                            or name == "llama-chunks" and length > 2 and bool(m[4]) == bos):
            return name, length, bos, second
    raise wire.Fault("usage", f"the convention {convention!r} is not known here", "use hf-nonoverlap(LENGTH), hf-strided(LENGTH,STRIDE) or llama-chunks(LENGTH)")


def prepared(request, *more):
    """(model in FP32, ids, windows) of a request whose text and windows fit the model;
    more are keys that it must have besides KEYS."""
    import torch
    missing = [k for k in KEYS + more if k not in request]
    if missing:
        raise wire.Fault("usage", f"the request lacks {', '.join(missing)}")
    if request["threads"] > 0:
        torch.set_num_threads(request["threads"])
    length = parse(request["convention"])[1]
    ids = read_ids(request["ids"])
    cut = windows_of(request["convention"], ids)
    if not cut:
        raise wire.Fault("usage", f"the text has {len(ids)} tokens, fewer than {request['convention']} needs", "give a longer text or a smaller window")
    model = load(request["model"], request["attention"])
    check(model.config, ids + cut[0].ids[:1], length)
    return model, ids, cut


def scored(model, window):
    """float32 logits [rows, vocab] at the window's scored positions."""
    import torch
    # The last position predicts nothing that is scored.
    return model(input_ids=torch.tensor(window.ids)[None], use_cache=False).logits[0, window.first:-1].float()


def greedy(model, ids, asked):
    """What the model continues stretches of the text with, token by token with a cache."""
    import torch
    if not asked:
        return None
    positions = getattr(model.config, "max_position_embeddings", None) or len(ids)
    prompt = min(asked["prompt_tokens"], len(ids), positions // 2)
    new = min(asked["new_tokens"], positions - prompt)
    count = min(asked["prompts"], len(ids) - prompt + 1)
    if prompt < 1 or new < 1 or count < 1:
        return None
    begins = [i * (len(ids) - prompt) // max(count - 1, 1) for i in range(count)]
    feed, cache, out = torch.tensor([ids[b:b + prompt] for b in begins]), None, []
    for _ in range(new):
        answer = model(input_ids=feed, past_key_values=cache, use_cache=True)
        logits, cache = answer.logits[:, -1], answer.past_key_values
        feed = logits.argmax(-1, keepdim=True)  # the first of equals
        out.append(feed)
    return {"prompt_tokens": prompt, "new_tokens": new, "begins": begins, "ids": torch.cat(out, 1).tolist()}


def encode(logits, target, header):
    """(the rows' bytes, their NLL in float64) of logits [n, vocab] and the tokens [n] that came."""
    import numpy
    import torch
    exact = logits.double()
    lse = torch.logsumexp(exact, dim=-1)
    logp = exact - lse[:, None]
    if not bool(torch.isfinite(logp).all()):
        raise wire.Fault("input", "PyTorch's own logits are not finite in FP32", "check the checkpoint's weights")
    nll = -logp.gather(1, target[:, None])[:, 0]
    # topk leaves the order of equal values open: by id, then stably by value.
    ids = torch.topk(logp, header["top_k"], dim=-1).indices.sort(dim=-1).values
    best, order = logp.gather(1, ids).sort(dim=-1, descending=True, stable=True)
    ids = ids.gather(1, order)
    tail = logp.exp().scatter_(1, ids, 0.0).sum(-1)
    rows = numpy.zeros(len(target), dtype=numpy.dtype([
        ("nll", "<f4"), ("lse", "<f4"), ("tail", "<f4"),
        ("ids", "<u2" if header["id_bytes"] == 2 else "<u4", (header["top_k"],)), ("logp", "<f4", (header["top_k"],))]))
    for name, value in (("nll", nll), ("lse", lse), ("tail", tail), ("ids", ids), ("logp", best)):
        rows[name] = value.numpy()
    return rows.tobytes(), nll.tolist()


def load(directory, attention, dtype=None):
    import torch
    from transformers import AutoModelForCausalLM
    if not os.path.isfile(os.path.join(directory, "config.json")):
        raise wire.Fault("input", f"{directory} has no config.json", "give the directory of a Hugging Face checkpoint")
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            directory, dtype=dtype or torch.float32, attn_implementation=attention, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError) as e:
        raise wire.Fault("input", f"transformers cannot load {directory}: {e}", "check the checkpoint") from e
    except Exception as e:
        if type(e).__name__ != "SafetensorError":
            raise
        raise wire.Fault("input", f"the weights in {directory} are unreadable: {e}", "fetch the checkpoint again") from e
    lost = sorted(info.get("missing_keys") or [])
    if lost:
        raise wire.Fault("input", f"the checkpoint lacks {len(lost)} weights: {', '.join(lost[:5])}", "fetch the checkpoint again")
    return model.eval()


def check(config, ids, length):
    """The vocabulary's size, if text and window fit the model."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions and length > positions:
        raise wire.Fault("usage", f"a window of {length} tokens is longer than the model's {positions} positions", "choose a smaller window")
    if max(ids) >= config.vocab_size:
        raise wire.Fault("input", f"token {max(ids)} is outside the model's vocabulary of {config.vocab_size}", "give the tokenizer that belongs to the model")
    return config.vocab_size


def read_ids(path):
    import array
    with open(path, "rb") as f:
        raw = f.read()
    if len(raw) % 4:
        raise wire.Fault("input", f"{path} is not a list of 32-bit ids: {len(raw)} bytes")
    ids = array.array("I", raw)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tolist()


def write_json(path, value):
    with open(path, "x") as f:
        json.dump(value, f, indent=2, allow_nan=False)
        f.write("\n")
        f.flush()
        os.fsync(f.fileno())


def bench(call):
    import timing  # torch is there by now
    return timing.bench(call, load)


if __name__ == "__main__":
    wire.serve("reference", {"bundle": bundle, "bench": bench, "stream": stream, "noise": noise, "tokenize": tokenize}, prepare)
