"""What workers that are timed have in common: the cases of package bench, how they are
warmed up and repeated, and the classes of what fails. Only the standard library is
imported here: some workers have no torch.
"""

import math
import time


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


def run(timer_of, request, case, repetitions):
    """Warms up, then times one case: (samples, tokens of the last request, a warning or "").
    A failure ends it, except where the next request is another one. timer_of makes
    what times requests of a case: its measure() gives (times in ms, tokens)."""
    reset_peak()
    samples, tokens, warning = [], [], ""
    try:
        timer = timer_of(case)
        n, steady = warm(timer, request.get("warmup") or {})
        if not steady:
            warning = f"not steady after {n} requests of warm-up"
    except CAUGHT as e:
        return [case.blank() | {"failure": classify(e)}], tokens, warning
    for i in range(repetitions):
        one = case.at((request.get("first") or 0) + i)
        try:
            if case.requests:
                timer = timer_of(one)
            times, tokens = timer.measure()
            samples.append(one.blank() | times | {"peak_rss_bytes": peak()})
        except CAUGHT as e:
            samples.append(one.blank() | {"failure": classify(e), "peak_rss_bytes": peak()})
            if not case.requests:
                break
    return samples, tokens, warning


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
