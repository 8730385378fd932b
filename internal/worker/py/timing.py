"""PyTorch as a system that is timed: job "bench", the twin of internal/jobs/bench.go.

A request is a prompt a row and greedy tokens until there are new_tokens. The clock runs
from the prompt's submission; a token counts when its id is on the host. PyTorch runs as
its users run it: sdpa, inference_mode, logits of the last position only, and a cache
that transformers keeps. It is eager unless "compile" is asked for, float32 unless dtype
says otherwise.
"""

import time

import torch
import wire

DTYPES = {"": "float32", "fp32": "float32", "bf16": "bfloat16"}


def bench(call, load):
    """Request: path (a Hugging Face directory), engine, scenarios, round, repetitions,
    warmup, mode ("" or "cached", "uncached", "chunked"), chunk, text (token ids, not
    empty), threads, pytorch {dtype, compile}, tokens (true: say what was generated)."""
    exact = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)  # it fills all new memory, and no user of PyTorch pays for that
    try:
        return measure(call, load)
    finally:
        torch.use_deterministic_algorithms(exact)


def measure(call, load):
    request = call.request
    if request.get("threads"):
        torch.set_num_threads(request["threads"])
    model, took = opened(request["path"], request.get("pytorch") or {}, load)
    result = {"samples": [], "load_ms": took, "warnings": [], "tokens": {}}
    repetitions = max(request.get("repetitions") or 5, 1)
    done, total = 0, repetitions * len(request["scenarios"])
    for s in request["scenarios"]:
        call.progress(done, total, s["name"])
        samples, tokens, warning = scenario(model, request, s, repetitions)
        result["samples"] += samples
        if request.get("tokens"):
            result["tokens"][s["name"]] = tokens
        if warning:
            result["warnings"].append(f"{request['engine']}, {s['name']}: {warning}")
        done += repetitions
        call.progress(done, total, s["name"])
    return result


kept = {}  # the model that was opened last: engines are timed in turns, many a process


def opened(path, how, load):
    """The model and how long opening it took, in ms."""
    key = (path, how.get("dtype", ""), bool(how.get("compile")))
    if key not in kept:
        kept.clear()  # before the next one is read
        dtype = DTYPES.get(how.get("dtype", ""))
        if dtype is None:
            raise wire.Fault("usage", f"PyTorch is not timed in {how['dtype']!r}", "choose fp32 or bf16")
        start = time.perf_counter()
        model = load(path, "sdpa").to(getattr(torch, dtype))
        if how.get("compile"):
            # dynamic: a cache grows by a column a step, and each length would be compiled anew.
            model.forward = torch.compile(model.forward, dynamic=True)
        kept[key] = model, ms(time.perf_counter() - start)
    return kept[key]


def scenario(model, request, s, repetitions):
    """Warms up, then times; (samples, tokens of the last request, a warning or "")."""
    blank = {
        "engine": request["engine"], "round": request.get("round", 0), "scenario": s["name"], "batch": s["batch"],
        "prompt_tokens": s["prompt_tokens"], "new_tokens": s["new_tokens"], "ttft_ms": 0, "e2e_ms": 0, "peak_rss_bytes": 0,
    }
    if mode(request) != "cached":
        blank["mode"] = mode(request)
    samples, tokens, warning = [], [], ""
    reset_peak()
    try:
        fits(model.config, s)
        run = {"cached": cached, "uncached": uncached, "chunked": chunked}[mode(request)]
        prompts = torch.tensor(rows(s, request["text"]))
        n, steady = warm(lambda: timed(run, model, prompts, s, request), request.get("warmup") or {})
        if not steady:
            warning = f"not steady after {n} requests of warm-up"
        for _ in range(repetitions):
            times, tokens = timed(run, model, prompts, s, request)
            samples.append(blank | times | {"peak_rss_bytes": peak()})
    except (RuntimeError, MemoryError, ValueError, Failed) as e:
        samples.append(blank | {"failure": classify(e)})
    return samples, tokens, warning


def mode(request):
    return request.get("mode") or "cached"


def timed(run, model, prompts, s, request):
    """One request: its times in ms, and the tokens, a list a row."""
    marks, tokens = [], []
    with torch.inference_mode():
        start = time.perf_counter()
        for logits in run(model, prompts, s["new_tokens"], tokens, request):
            best, ids = logits.max(-1)
            tokens.append(ids[:, None])
            ids.tolist()  # the host has them
            marks.append(time.perf_counter())
            if bool(best.isnan().any()):
                raise Failed("non_finite", "the logits hold NaN")
    times = {"ttft_ms": ms(marks[0] - start), "e2e_ms": ms(marks[-1] - start)}
    if len(marks) > 1:
        times["gaps_ms"] = [ms(b - a) for a, b in zip(marks, marks[1:])]
    return times, torch.cat(tokens, 1).tolist()


def cached(model, prompts, new, tokens, _):
    out = model(input_ids=prompts, use_cache=True, logits_to_keep=1)
    yield out.logits[:, -1]
    yield from steps(model, out, new, tokens)


def chunked(model, prompts, new, tokens, request):
    """The prompt in pieces, each on the cache of those before it."""
    cache = None
    for part in prompts.split(request["chunk"], dim=1):
        out = model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
    yield out.logits[:, -1]
    yield from steps(model, out, new, tokens)


def steps(model, out, new, tokens):
    for _ in range(new - 1):
        out = model(input_ids=tokens[-1], past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
        yield out.logits[:, -1]


def uncached(model, prompts, new, tokens, _):
    """All tokens again for each new one: what the study called generate."""
    for _ in range(new):
        ids = torch.cat([prompts, *tokens], 1)
        yield model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]


def warm(once, w):
    """Runs requests until the last three took the same, as bench.Timer.Warm does."""
    least = w.get("min") or 3
    most, within = w.get("max") or 10 * least, w.get("within") or 0.1
    took = []
    for n in range(1, most + 1):
        took.append(once()[0]["e2e_ms"])
        if n >= least and is_steady(took[-3:], within):
            return n, True
    return most, False


def is_steady(last, within):
    if len(last) < 3:
        return False
    centre = sorted(last)[1]
    return all(abs(v - centre) <= within * centre for v in last)


def rows(s, text):
    """The prompts that bench.Prompts makes of a text."""
    if not text:
        raise Failed("other", "the request has no text")
    n = s["prompt_tokens"]
    return [[text[(b * n + i) % len(text)] for i in range(n)] for b in range(s["batch"])]


def fits(config, s):
    longest = s["prompt_tokens"] + s["new_tokens"] - 1
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions and longest > positions:
        raise Failed("shape", f"capacity {longest} exceeds the model's {positions} positions")


class Failed(Exception):
    """A request that gives no time, and the class of package bench that it is of."""

    def __init__(self, kind, cause):
        super().__init__(cause)
        self.kind = kind


def classify(e):
    cause = str(e) or type(e).__name__
    if isinstance(e, Failed):
        return {"class": e.kind, "cause": cause}
    if isinstance(e, MemoryError) or "allocate memory" in cause or "out of memory" in cause:
        return {"class": "memory", "cause": cause}
    return {"class": "other", "cause": f"{type(e).__name__}: {cause.splitlines()[0]}"}


def ms(seconds):
    return 1e3 * seconds


def reset_peak():
    """Lets VmHWM begin again, where the system lets us."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def peak():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    return 0
