"""PyTorch as a system that is timed: job "bench", the twin of internal/jobs/bench.go.

A request is a prompt a row and greedy tokens until there are new_tokens. The clock runs
from the prompt's submission; a token counts when its id is on the host. PyTorch runs as
its users run it: sdpa, inference_mode, logits of the last position only, and the cache
that transformers keeps. It is eager unless "compile" is asked for, float32 unless dtype
says otherwise. What decides a figure (prompts, pieces, padding, warm-up, classes of
failure) is as in package bench, to the token.
"""

import time

import torch
import wire
from cases import Case, Clock, Failed, ms, run

DTYPES = {"": "float32", "fp32": "float32", "bf16": "bfloat16"}


def bench(call, load):
    """Request: jobs.BenchRequest, where path is a Hugging Face directory, pytorch holds
    {dtype, compile}, and tokens (true) asks for what was generated. Result:
    jobs.BenchResult."""
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
    for i, of in enumerate(request["cases"]):
        case = Case(of)
        call.progress(i * repetitions, len(request["cases"]) * repetitions, case.name)
        samples, tokens, warning = run(lambda one: Timer(model, one, request), request, case, repetitions)
        for s in samples:
            result["samples"].append(s | {"engine": request["engine"], "round": request.get("round", 0)})
        if request.get("tokens"):
            result["tokens"][case.key()] = tokens
        if warning:
            result["warnings"].append(f"{request['engine']}, {case.key()}: {warning}")
    if took and result["samples"]:
        result["samples"][0]["load_ms"] = took
    if not request.get("keep"):
        kept.clear()
    return result


kept = {}  # the model that the last request asked to keep


def opened(path, how, load):
    """The model and how long opening it took, in ms; 0 where it was open already."""
    key = (path, how.get("dtype", ""), bool(how.get("compile")))
    if key in kept:
        return kept[key], 0
    kept.clear()  # before the next one is read
    if key[1] not in DTYPES:
        raise wire.Fault("usage", f"PyTorch is not timed in {key[1]!r}", "choose fp32 or bf16")
    start = time.perf_counter()
    model = load(path, "sdpa").to(getattr(torch, DTYPES[key[1]]))
    if key[2]:
        # dynamic: a cache grows by a column a step, and each length would be compiled anew.
        model.forward = torch.compile(model.forward, dynamic=True)
    kept[key] = model
    return model, ms(time.perf_counter() - start)


class Timer:
    """Times requests of one case; all that a request is made of is ready before."""

    def __init__(self, model, case, request):
        self.model, self.case = model, case
        fits(model.config, case)
        rows = case.rows(request.get("text"), model.config.vocab_size, request.get("seed") or 0)
        width = max(len(r) for r in rows)
        pads = [width - len(r) for r in rows]
        self.prompt = torch.tensor([[0] * p + r for p, r in zip(pads, rows)])
        self.mask = self.positions = None  # without padding transformers needs neither
        if any(pads):
            total = width + case.new
            self.mask = torch.tensor([[0] * p + [1] * (total - p) for p in pads])
            self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)

    def measure(self):
        """One request: its times in ms, and the tokens, a list a row."""
        marks, tokens, clock = [], [], Clock()
        with torch.inference_mode():
            for logits in (self.uncached if self.case.mode == "uncached" else self.cached)(tokens, clock):
                best, ids = logits.max(-1)
                tokens.append(ids[:, None])
                ids.tolist()  # the host has them
                marks.append(time.perf_counter())
                if not bool(best.isfinite().all()):
                    raise Failed("non_finite", "the logits hold NaN")
        times = {"ttft_ms": ms(marks[0] - clock.start), "e2e_ms": ms(marks[-1] - clock.start)}
        if len(marks) > 1:
            times["gaps_ms"] = [ms(b - a) for a, b in zip(marks, marks[1:])]
        return times, torch.cat(tokens, 1).tolist()

    def cached(self, tokens, clock):
        cache, at = None, 0
        columns, untimed = self.case.columns()
        for i, n in enumerate(columns):
            if i in (0, untimed):
                clock.begin()
            out = self.forward(self.prompt[:, at:at + n], at, cache)
            cache, at = out.past_key_values, at + n
        yield out.logits[:, -1]
        for _ in range(self.case.new - 1):
            out = self.forward(tokens[-1], at, cache)
            cache, at = out.past_key_values, at + 1
            yield out.logits[:, -1]

    def uncached(self, tokens, clock):
        """All tokens again for each new one: what the study called generate."""
        clock.begin()
        for _ in range(self.case.new):
            yield self.forward(torch.cat([self.prompt, *tokens], 1), 0, None, use_cache=False).logits[:, -1]

    def forward(self, ids, at, cache, use_cache=True):
        """ids [batch, n] after at columns."""
        where = {}
        if self.mask is not None:
            end = at + ids.shape[1]
            where = {"attention_mask": self.mask[:, :end], "position_ids": self.positions[:, at:end]}
        return self.model(input_ids=ids, past_key_values=cache, use_cache=use_cache, logits_to_keep=1, **where)


def fits(config, case):
    longest = case.depth + case.prompt + case.new - 1
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions and longest > positions:
        raise Failed("shape", f"capacity {longest} exceeds the model's {positions} positions")
