"""PyTorch as a system that is timed: job "bench", the twin of internal/jobs/bench.go.

A request is a prompt a row and greedy tokens until there are new_tokens. The clock runs
from the prompt's submission; a token counts when its id is on the host. PyTorch runs as
its users run it: sdpa, inference_mode, logits of the last position only, and the cache
that transformers keeps. It is eager unless "compile" is asked for, float32 unless dtype
says otherwise. What decides a figure (prompts, pieces, padding, warm-up, classes of
failure) is as in package bench, to the token.
"""

import math
import time

import torch
import wire

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
        samples, tokens, warning = run(model, request, case, repetitions)
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


class Case:
    """bench.Case: a scenario and the way in which it is run."""

    def __init__(self, of):
        self.of, self.name, self.batch = of, of["name"], of["batch"]
        self.prompt, self.new = of["prompt_tokens"], of["new_tokens"]
        self.mode = of.get("mode") or "cached"
        self.chunk, self.depth = of.get("chunk") or 0, of.get("depth") or 0
        self.requests = of.get("requests") or []

    def key(self):
        return self.name if self.mode == "cached" else f"{self.name} {self.mode}"

    def at(self, i):
        """The case of its i-th repetition: each takes the next request of a trace."""
        if not self.requests:
            return self
        return Case(self.of | self.requests[i % len(self.requests)] | {"requests": []})

    def columns(self):
        """(the pieces in which the prompt is taken, how many come before the clock)."""
        step = self.chunk if self.mode == "chunked" else self.prompt
        all = [min(step, self.prompt - at) for at in range(0, self.prompt, step)]
        return ([self.depth] + all, 1) if self.depth else (all, 0)

    def lengths(self):
        """Tokens of each row where they differ; rows are padded on the left."""
        if not self.of.get("ragged") or self.batch < 2 or self.depth:
            return None
        least = max((self.prompt + 1) // 2, self.prompt - self.columns()[0][0] + 1)
        return [self.prompt - (self.prompt - least) * b // (self.batch - 1) for b in range(self.batch)]

    def rows(self, text, vocab, seed):
        """The prompts of bench.Case.Prompts, the depth's tokens in front."""
        width, draw = self.depth + self.prompt, PCG(seed)
        rows = []
        for b, n in enumerate(self.lengths() or [width] * self.batch):
            rows.append([text[(b * width + i) % len(text)] if text else draw.below(vocab) for i in range(n)])
            if max(rows[-1]) >= vocab:
                raise Failed("vocabulary", f"the text has token {max(rows[-1])}, the engine's vocabulary {vocab} tokens: it is another model's")
        return rows

    def blank(self):
        s = {"scenario": self.name, "mode": self.mode, "batch": self.batch, "prompt_tokens": self.prompt, "new_tokens": self.new,
             "ttft_ms": 0, "e2e_ms": 0, "peak_rss_bytes": 0}
        return s | {k: v for k, v in (("chunk", self.chunk), ("depth", self.depth), ("lengths", self.lengths())) if v}


def run(model, request, case, repetitions):
    """Warms up, then times one case: (samples, tokens of the last request, a warning or "").
    A failure ends it, except where the next request is another one."""
    reset_peak()
    samples, tokens, warning = [], [], ""
    try:
        timer = Timer(model, case, request)
        n, steady = warm(timer, request.get("warmup") or {})
        if not steady:
            warning = f"not steady after {n} requests of warm-up"
    except CAUGHT as e:
        return [case.blank() | {"failure": classify(e)}], tokens, warning
    for i in range(repetitions):
        one = case.at((request.get("first") or 0) + i)
        try:
            if case.requests:
                timer = Timer(model, one, request)
            times, tokens = timer.measure()
            samples.append(one.blank() | times | {"peak_rss_bytes": peak()})
        except CAUGHT as e:
            samples.append(one.blank() | {"failure": classify(e), "peak_rss_bytes": peak()})
            if not case.requests:
                break
    return samples, tokens, warning


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


class Clock:
    def begin(self):
        self.start = time.perf_counter()


def warm(timer, w):
    """Runs requests until they are steady: (how many, whether they are)."""
    least = w.get("min") or 3
    most, limit, within = w.get("max") or 10 * least, w.get("max_ms") or 60_000, w.get("within") or 0.1
    exactly = w.get("exactly")
    if exactly is not None:
        most, limit = exactly, math.inf
    known = (w.get("steady") or {}).get(timer.case.key(), 0)
    took = []
    while len(took) < most and (sum(took) < limit or len(took) < least):
        took.append(timer.measure()[0]["e2e_ms"])
        if exactly is None and is_steady(took, known, least, within):
            return len(took), True
    return len(took), exactly is not None


def is_steady(took, known, least, within):
    """The last three are alike, or the level of five no longer moves, or it is known."""
    if known > 0 and near(took[-1:], known, within):
        return True
    if len(took) < max(least, 3):
        return False
    if near(took[-3:], median(took[-3:]), within):
        return True
    return len(took) >= 10 and near([median(took[-5:])], median(took[-10:-5]), within / 2)


def near(values, centre, within):
    return all(abs(v - centre) <= within * centre for v in values)


def median(odd):
    return sorted(odd)[len(odd) // 2]


class PCG:
    """Go's math/rand/v2 PCG(seed, 0), so that prompts without a text are the same ones."""

    def __init__(self, seed):
        self.state = seed << 64

    def uint64(self):
        self.state = (self.state * (2549297995355413924 << 64 | 4865540595714422341) + (6364136223846793005 << 64 | 1442695040888963407)) % (1 << 128)
        hi, lo = self.state >> 64, self.state % (1 << 64)
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 % (1 << 64)
        hi ^= hi >> 48
        return hi * (lo | 1) % (1 << 64)

    def below(self, n):
        if n & (n - 1) == 0:
            return self.uint64() & (n - 1)
        while True:
            hi, lo = divmod(self.uint64() * n, 1 << 64)
            if lo >= (1 << 64) % n:
                return hi


def fits(config, case):
    longest = case.depth + case.prompt + case.new - 1
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions and longest > positions:
        raise Failed("shape", f"capacity {longest} exceeds the model's {positions} positions")


class Failed(Exception):
    """A request that gives no time, and the class of package bench that it is of."""

    def __init__(self, kind, cause):
        super().__init__(cause)
        self.kind = kind


CAUGHT = (RuntimeError, MemoryError, ValueError, IndexError, Failed)


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
