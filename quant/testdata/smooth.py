"""Judges for smoothing and for accuracy: ONNX Runtime and numpy.

smooth.py channels GRAPH OUT [IDS N LENGTH]   the graph's outputs as a table's ranges with their channels
smooth.py same REFERENCE GRAPH COUNT          the largest difference of logits over the largest logit, as JSON
smooth.py errors GRAPH PRODUCTS [IDS N LENGTH] measured squared error of rounded products, a line each
smooth.py score IDS LENGTH BLOCK MOST REFERENCE GRAPH...
                                              KL and change of NLL against the reference in blocks, as JSON
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    return ort.InferenceSession(path, options)


def feeds(s, ids, past=None, pad=0):
    """Inputs for ids of [batch, seq] after a past of arrays by name; the first row is left-padded by pad."""
    batch, seq = ids.shape
    length = next(iter(past.values())).shape[2] if past else 0
    mask = np.ones((batch, seq + length), np.int64)
    mask[0, :pad] = 0
    fed = {"input_ids": ids, "attention_mask": mask, "position_ids": np.tile(np.arange(length, length + seq), (batch, 1))}
    for i in s.get_inputs():
        if i.name not in fed:
            fed[i.name] = past[i.name] if past else np.zeros((batch, i.shape[1], 0, i.shape[3]), np.float16 if "float16" in i.type else np.float32)
    return {i.name: fed[i.name] for i in s.get_inputs()}


def windows(ids=None, n=0, length=0):
    """Evenly spread windows of the text, the same for every tool; without a text random ids."""
    if ids is None:
        return np.random.default_rng(2).integers(0, 97, (6, 24))
    text, n, length = json.load(open(ids)), int(n), int(length)
    stratum = len(text) // n
    return np.array([text[i * stratum:][:length] for i in range(n)])


def channels(graph, out, *text):
    s, seen = session(graph), {}
    names = [o.name for o in s.get_outputs() if not o.name.startswith("present")]
    for w in windows(*text):
        for name, v in zip(names, s.run(names, feeds(s, w[None]))):
            if v.ndim > 1 and v.size:
                seen.setdefault(name, []).append(v.reshape(-1, v.shape[-1]).astype(np.float64))
    table = {}
    for name, parts in seen.items():
        v = np.concatenate(parts)
        lo, hi = v.min(0), v.max(0)
        table[name] = {"lo": lo.min(), "hi": hi.max(), "amax": max(-lo.min(), hi.max()), "channels": {
            "lo": lo.tolist(), "hi": hi.tolist(), "rms": np.sqrt((v ** 2).mean(0)).tolist(), "mean": v.mean(0).tolist()}}
    json.dump(table, open(out, "w"))


def same(reference, graph, count):
    """Half of the inputs are prompts, some padded; half are steps on the cache that each graph has made itself."""
    a, b = session(reference), session(graph)
    rng, worst, values = np.random.default_rng(1), 0.0, 0.0
    outs = [o.name for o in a.get_outputs()]
    for _ in range(int(count) // 2):
        ids, pad = rng.integers(0, 97, (2, rng.integers(3, 12))), int(rng.integers(0, 3))
        step = rng.integers(0, 97, (2, 1))
        pasts = {}
        for s in (a, b):
            got = dict(zip(outs, s.run(outs, feeds(s, ids, pad=pad))))
            past = {n.replace("present", "past_key_values"): v for n, v in got.items() if n != "logits"}
            pasts[s] = past, [got["logits"], s.run(["logits"], feeds(s, step, past, pad))[0]]
        for x, y in zip(pasts[a][1], pasts[b][1]):
            worst = max(worst, float(np.abs(x - y).max() / np.abs(x).max()))
        values = max(values, *(float(np.abs(pasts[a][0][n] - v).max()) for n, v in pasts[b][0].items()))
    print(json.dumps({"logits": worst, "cache": values}))


def errors(graph, products, *text):
    """Each product: tensor, weight, amax; the weight is [in, out]. Rounded as INT8 is, without a bias."""
    model = onnx.load(graph)
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    products = json.load(open(products))
    tensors = sorted({p["tensor"] for p in products})
    model.graph.output.extend(onnx.helper.make_tensor_value_info(t, 1, None) for t in tensors)
    s = ort.InferenceSession(model.SerializeToString())
    seen = {t: [] for t in tensors}
    for w in windows(*text):
        for t, v in zip(tensors, s.run(tensors, feeds(s, w[None]))):
            seen[t].append(v.reshape(-1, v.shape[-1]))
    for p in products:
        x, w = np.concatenate(seen[p["tensor"]]), weights[p["weight"]].astype(np.float32)
        step, steps = np.float32(p["amax"] / 127), np.abs(w).max(0) / 127
        xq = np.clip(np.rint(x / step), -128, 127) * step
        wq = np.clip(np.rint(w / steps), -127, 127) * steps
        e = xq @ wq - x @ w
        if p["centred"]:
            e -= x.mean(0) @ (wq - w)
        print(json.dumps(float((e.astype(np.float64) ** 2).sum(1).mean())))


def score(ids, length, block, most, reference, *graphs):
    text, length, block, most = json.load(open(ids)), int(length), int(block), int(most)
    rows = [np.array(text[i:i + length + 1]) for i in range(0, len(text) - length, length)][:most]

    def log_probabilities(s, row):
        v = s.run(["logits"], feeds(s, row[None, :-1]))[0][0].astype(np.float64)
        v -= v.max(1, keepdims=True)
        return v - np.log(np.exp(v).sum(1, keepdims=True))

    sessions = [session(g) for g in graphs]
    s, got = session(reference), [{"kl": [], "nll": []} for _ in graphs]
    nll = []
    for row in rows:
        want, target = log_probabilities(s, row), row[1:, None]
        p = np.exp(want)
        nll.append(-np.take_along_axis(want, target, 1)[:, 0])
        for other, g in zip(sessions, got):
            v = log_probabilities(other, row)
            g["kl"] += (p * (want - v)).sum(1).reshape(-1, block).mean(1).tolist()
            g["nll"] += (np.take_along_axis(want - v, target, 1)[:, 0]).reshape(-1, block).mean(1).tolist()
    print(json.dumps({"perplexity": float(np.exp(np.concatenate(nll).mean())), "tokens": length * len(rows), "graphs": got}))


globals()[sys.argv[1]](*sys.argv[2:])
