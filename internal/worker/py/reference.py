"""PyTorch's side of a comparison: what the model predicts for a text, in FP32.

Job "bundle" scores the windows of a text and writes bundle.json and bundle.bin
into the directory it is given, in the form that package validate reads:
for each scored token NLL, logsumexp and tail mass as float32, then top_k ids
(uint16 up to 65536 tokens, else uint32) and top_k log-probabilities as float32,
all little-endian, row after row. Log-probabilities are computed in float64 from
float32 logits.

Job "bench" times the model as timing.py says.
"""

import hashlib
import json
import math
import os
import platform
import sys

import wire

KEYS = ("model", "ids", "convention", "out", "top_k", "threads", "attention", "digests", "created_by")


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
    it is), attention ("eager" or "sdpa"), digests, created_by."""
    import torch
    request = call.request
    missing = [k for k in KEYS if k not in request]
    if missing:
        raise wire.Fault("usage", f"the request lacks {', '.join(missing)}")
    if request["threads"] > 0:
        torch.set_num_threads(request["threads"])
    length = window_length(request["convention"])
    ids = read_ids(request["ids"])
    windows = len(ids) // length
    if windows == 0:
        raise wire.Fault("usage", f"the text has {len(ids)} tokens, fewer than one window of {length}", "give a longer text or a smaller window")
    model = load(request["model"], request["attention"])
    vocab = check(model.config, ids, length)
    header = {
        "kind": "bundle", "schema_version": 1, "created_by": request["created_by"], "convention": request["convention"],
        "tokens": len(ids), "windows": windows, "rows": windows * (length - 1), "vocab": vocab,
        "top_k": min(request["top_k"], vocab), "id_bytes": 2 if vocab <= 1 << 16 else 4,
    }
    path = os.path.join(request["out"], "bundle.bin")
    total = 0.0
    with open(path, "xb") as out, torch.inference_mode():
        digest = hashlib.sha256()
        for w in range(windows):
            window = torch.tensor(ids[w * length:(w + 1) * length])
            # logits of shape [length-1, vocab]; the last position predicts nothing that is scored
            logits = model(input_ids=window[None], use_cache=False).logits[0, :-1]
            for part, target in zip(logits.split(64), window[1:].split(64)):
                rows, nll = encode(part, target, header)
                out.write(rows)
                digest.update(rows)
                for v in nll:  # in order, as the reader adds them up
                    total += v
            call.progress(w + 1, windows, "windows scored by PyTorch")
        out.flush()
        os.fsync(out.fileno())
    mean = total / header["rows"]
    header |= {
        "mean_nll": mean, "perplexity": math.exp(mean), "digests": request["digests"], "data_sha256": digest.hexdigest(),
        "settings": {"dtype": "float32", "attention": request["attention"], "tf32": "off", "threads": str(torch.get_num_threads())},
        "versions": versions(),
    }
    write_json(os.path.join(request["out"], "bundle.json"), header)
    return {"perplexity": header["perplexity"], "rows": header["rows"], "windows": windows, "versions": header["versions"]}


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


def load(directory, attention):
    import torch
    from transformers import AutoModelForCausalLM
    if not os.path.isfile(os.path.join(directory, "config.json")):
        raise wire.Fault("input", f"{directory} has no config.json", "give the directory of a Hugging Face checkpoint")
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation=attention, local_files_only=True, output_loading_info=True)
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


def window_length(convention):
    name, _, rest = convention.partition("(")
    if name != "hf-nonoverlap" or not rest.endswith(")") or not rest[:-1].isdecimal() or int(rest[:-1]) < 2:
        raise wire.Fault("usage", f"the convention {convention!r} is not known here", "use hf-nonoverlap(LENGTH)")
    return int(rest[:-1])


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
    wire.serve("reference", {"bundle": bundle, "bench": bench}, prepare)
