"""Runs TensorRT and TensorRT-RTX plans: one execution context for each profile, keys and
values on the device.

Job "bench" is jobs.BenchRequest -> jobs.BenchResult. Job "logits" is what scoring is
made of: windows of one length go in, the logits of every position come back, by one
pass or token by token. The parent compares them, as it does those of ONNX Runtime.

A cache that grows cannot grow in place: each key and value has two buffers, from one
of which a step reads while it writes the other. A step runs in the first profile that
holds its shapes. Python's bindings of TensorRT and the CUDA runtime by ctypes are all
that is needed; numpy holds what crosses the bus, which is ids in and logits out.
"""

import ctypes
import os
import time

import numpy as np
import wire
from cases import Case, Clock, Failed, ms, run

FAMILIES = {b"vtrt": ("tensorrt_rtx", ("tensorrt_rtx", "tensorrt_rtx_bindings"), "rtx"), b"ftrt": ("tensorrt", ("tensorrt",), "trt")}
LOG = {}  # by family: TensorRT keeps the first logger of a process for good


def prepare():
    """Says which bindings are here; none at all is missing."""
    found = {}
    for family, modules, _ in FAMILIES.values():
        module = first(modules)
        if module is not None:
            found[family] = module.__version__
    if not found:
        raise wire.Fault("missing", "neither TensorRT's nor TensorRT-RTX's Python bindings are here", "run trtforge setup rtx, or setup trt")
    return found


def first(modules):
    for name in modules:
        try:
            return __import__(name)
        except ImportError:
            continue
    return None


def logger(trt, family):
    if family not in LOG:
        class Logger(trt.ILogger):
            def __init__(self):
                trt.ILogger.__init__(self)
                self.errors = []

            def log(self, severity, text):
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    self.errors.append(text)
                    print(text, flush=True)  # descriptor 1 is the log

        LOG[family] = Logger()
    LOG[family].errors.clear()
    return LOG[family]


class Plan:
    """A deserialised plan."""

    def __init__(self, path):
        try:
            with open(path, "rb") as f:
                data = f.read()
        except OSError as e:
            raise wire.Fault("input", f"{path}: {e.strerror}", "build the engine again") from e
        family, modules, setup = FAMILIES.get(data[:4], (None, (), ""))
        if family is None:
            raise wire.Fault("input", f"{path} is no TensorRT plan", "name an engine that trtforge built")
        trt = first(modules)
        if trt is None:
            raise wire.Fault("missing", f"the plan is of {family}, whose Python bindings are not here", f"run trtforge setup {setup}")
        log = logger(trt, family)
        self.runtime = trt.Runtime(log)
        self.engine = self.runtime.deserialize_cuda_engine(data) if self.runtime is not None else None
        if self.engine is None:
            said = "; ".join(log.errors[-3:]) or "it said nothing"
            lacks = any(word in said for word in ("cudaError", "CUDA driver", "no CUDA-capable"))
            raise wire.Fault("missing" if lacks else "runtime", f"{family} {trt.__version__} does not open the plan: {said}",
                             "run it on a machine with the GPU that it was built for, with a driver; trtforge inspect says which")
        e = self.engine
        self.types = {e.get_tensor_name(i): np.dtype(trt.nptype(e.get_tensor_dtype(e.get_tensor_name(i)))) for i in range(e.num_io_tensors)}
        self.inputs = [n for n in self.types if e.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.bounds = [{n: (tuple(low), tuple(high)) for n in self.inputs for low, _, high in [e.get_tensor_profile_shape(n, p)]}
                       for p in range(e.num_optimization_profiles)]
        self.contexts = {}
        self.cuda = Cuda()

    def profile(self, shapes):
        """The first profile that holds the shapes."""
        for p, bounds in enumerate(self.bounds):
            if all(len(s) == len(bounds[n][0]) and all(lo <= d <= hi for lo, d, hi in zip(bounds[n][0], s, bounds[n][1]))
                   for n, s in shapes.items()):
                return p
        raise Failed("shape", "no profile of the plan holds " + ", ".join(f"{n} {list(s)}" for n, s in list(shapes.items())[:3]))

    def context(self, p):
        if p not in self.contexts:
            c = self.engine.create_execution_context()
            if c is None:
                raise Failed("memory", f"no execution context for profile {p}: {self.told()}")
            if not c.set_optimization_profile_async(p, self.cuda.stream):
                raise Failed("other", f"profile {p} cannot be chosen: {self.told()}")
            self.cuda.wait()
            self.contexts[p] = c
        return self.contexts[p]

    def told(self):
        errors = [e for log in LOG.values() for e in log.errors]
        return "; ".join(errors[-3:]) or "it said nothing"

    def run(self, shapes, addresses):
        """One pass; returns the seconds in which the device worked and was waited for."""
        c = self.context(self.profile(shapes))
        for name, shape in shapes.items():
            if not c.set_input_shape(name, shape):
                raise Failed("shape", f"{name} {list(shape)}: {self.told()}")
        for name, address in addresses.items():
            c.set_tensor_address(name, address)
        begin = time.perf_counter()
        if not c.execute_async_v3(self.cuda.stream):
            raise Failed("other", self.told())
        self.cuda.wait()
        return time.perf_counter() - begin


class Cuda:
    """What is needed of the CUDA runtime, and one stream."""

    def __init__(self):
        self.lib, names = None, [os.environ.get("TRTFORGE_CUDART"), "libcudart.so.13", "libcudart.so.12", "libcudart.so"]
        for name in filter(None, names):
            try:
                self.lib = ctypes.CDLL(name)
                break
            except OSError:
                continue
        if self.lib is None:
            raise wire.Fault("missing", "the CUDA runtime (libcudart.so.12 or 13) is not here",
                             "install CUDA's runtime, or name the library in TRTFORGE_CUDART")
        stream = ctypes.c_void_p()
        self.check("cudaStreamCreate", ctypes.byref(stream))
        self.stream = stream.value or 0
        self.held = []

    def check(self, function, *args):
        status = getattr(self.lib, function)(*args)
        if status == 2:
            raise Failed("memory", f"{function}: out of memory on the device")
        if status:
            raise Failed("other", f"{function}: cudaError {status}")

    def take(self, size):
        """Memory of the device; TensorRT wants an address also for what is empty."""
        p = ctypes.c_void_p()
        self.check("cudaMalloc", ctypes.byref(p), ctypes.c_size_t(max(size, 256)))
        self.held.append(p.value)
        return p.value

    def release(self):
        for p in self.held:
            self.lib.cudaFree(ctypes.c_void_p(p))
        self.held = []

    def put(self, address, array):
        self.check("cudaMemcpy", ctypes.c_void_p(address), array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes), 1)

    def get(self, array, address):
        self.check("cudaMemcpy", array.ctypes.data_as(ctypes.c_void_p), ctypes.c_void_p(address), ctypes.c_size_t(array.nbytes), 2)

    def wait(self):
        self.check("cudaStreamSynchronize", ctypes.c_void_p(self.stream))


class Decoder:
    """Feeds a plan by its contract: batch rows of at most capacity columns, at most
    widest of them in one pass."""

    def __init__(self, plan, contract, batch, capacity, widest):
        self.plan, self.batch, self.capacity, self.widest = plan, batch, capacity, widest
        longest = contract.get("max_positions") or 0
        if longest and capacity > longest:
            raise Failed("shape", f"capacity {capacity} exceeds the model's {longest} positions")
        of = {t["kind"]: t["name"] for t in contract["inputs"] if not t["kind"].startswith("past")}
        self.ids, self.mask, self.positions = of.get("ids"), of.get("mask"), of.get("positions")
        self.logits = next(t["name"] for t in contract["outputs"] if t["kind"] == "logits")
        self.last, self.vocab = contract["logits"] == "last", contract["vocab"]
        unknown = set(plan.inputs) - {t["name"] for t in contract["inputs"]}
        other = [t["name"] for t in contract["inputs"] if t["kind"] == "other"]
        if unknown or other or not self.ids:
            raise wire.Fault("usage", f"the plan has inputs that a decoder does not feed: {sorted(unknown) or other}", "name the contract of its graph")
        if any(d["role"] == "buffer" for t in contract["inputs"] for d in t["dims"]):
            raise wire.Fault("usage", "plans with a static cache are not run yet", "export the model with a cache that grows")
        self.cuda = plan.cuda
        self.cuda.release()
        self.feeds = {n: self.cuda.take(8 * batch * capacity) for n in (self.ids, self.mask, self.positions) if n}
        self.out = self.cuda.take(plan.types[self.logits].itemsize * batch * (1 if self.last else widest) * self.vocab)
        self.pairs = self.cache(contract)
        self.reset()

    def cache(self, contract):
        """(past's name, present's name, shape without its length, two buffers) of each key and value."""
        def kind(tensors, prefix):
            return {(t["layer"] if "layer" in t else 0, t["kind"].removeprefix(prefix)): t for t in tensors if t["kind"].startswith(prefix)}
        past, present = kind(contract["inputs"], "past_"), kind(contract["outputs"], "present_")
        pairs = []
        for key, t in past.items():
            size = self.plan.types[t["name"]].itemsize * self.batch * contract["heads"] * self.capacity * contract["head_dim"]
            pairs.append((t["name"], present[key]["name"], (self.batch, contract["heads"]), contract["head_dim"], [self.cuda.take(size), self.cuda.take(size)]))
        return pairs

    def reset(self):
        self.past, self.turn, self.seconds = 0, 0, 0.0

    def step(self, ids, mask, positions, every=False):
        """ids, positions [batch, n], mask [batch, past + n]: the logits of the last
        position [batch, vocab], or of every one [batch, n, vocab], in float32."""
        n = ids.shape[1]
        if self.past + n > self.capacity or n > self.widest:
            raise Failed("shape", f"{self.past} + {n} columns exceed {self.capacity}, or {n} the {self.widest} of a pass")
        shapes, addresses = {}, {self.logits: self.out}
        for name, value in ((self.ids, ids), (self.mask, mask), (self.positions, positions)):
            if name:
                self.cuda.put(self.feeds[name], np.ascontiguousarray(value, self.plan.types[name]))
                shapes[name], addresses[name] = value.shape, self.feeds[name]
        for past, present, (b, heads), dim, buffers in self.pairs:
            shapes[past] = (b, heads, self.past, dim)
            addresses[past], addresses[present] = buffers[self.turn], buffers[1 - self.turn]
        self.seconds += self.plan.run(shapes, addresses)
        if self.pairs:
            self.past, self.turn = self.past + n, 1 - self.turn
        return self.read(1 if self.last else n, every)

    def read(self, n, every):
        kind = self.plan.types[self.logits]
        if every:
            all = np.empty((self.batch, n, self.vocab), kind)
            self.cuda.get(all, self.out)
            return all.astype(np.float32, copy=False)
        rows = np.empty((self.batch, self.vocab), kind)
        for b in range(self.batch):
            self.cuda.get(rows[b], self.out + kind.itemsize * self.vocab * (b * n + n - 1))
        return rows.astype(np.float32, copy=False)


class Timer:
    """Times requests of one case."""

    def __init__(self, plan, contract, case, request):
        self.case, self.contract = case, contract
        rows = case.rows(request.get("text"), contract["vocab"], request.get("seed") or 0)
        width = max(len(r) for r in rows)
        total = width + case.new
        pads = [width - len(r) for r in rows]
        self.prompt = np.array([[0] * p + r for p, r in zip(pads, rows)], np.int64)
        self.mask = np.array([[0] * p + [1] * (total - p) for p in pads], np.int64)
        self.positions = np.clip(self.mask.cumsum(1) - 1, 0, None)
        widest = total - 1 if case.mode == "uncached" else max(case.columns()[0])
        self.decoder = Decoder(plan, contract, case.batch, total - 1, widest)

    def measure(self):
        """One request: its times in ms, and the tokens, a list a row."""
        marks, tokens, clock = [], [], Clock()
        self.decoder.reset()
        for logits in (self.uncached if self.case.mode == "uncached" else self.cached)(tokens, clock):
            ids = logits.argmax(-1)
            tokens.append(ids[:, None])
            marks.append(time.perf_counter())
            if not np.isfinite(logits.max(-1)).all():
                raise Failed("non_finite", "the logits hold NaN")
        times = {"ttft_ms": ms(marks[0] - clock.start), "e2e_ms": ms(marks[-1] - clock.start), "run_ms": ms(self.decoder.seconds)}
        if len(marks) > 1:
            times["gaps_ms"] = [ms(b - a) for a, b in zip(marks, marks[1:])]
        return times, np.concatenate(tokens, 1).tolist()

    def cached(self, tokens, clock):
        at = 0
        columns, untimed = self.case.columns()
        for i, n in enumerate(columns):
            if i in (0, untimed):
                clock.begin()
                self.decoder.seconds = 0.0
            logits = self.forward(self.prompt[:, at:at + n], at)
            at += n
        yield logits
        for _ in range(self.case.new - 1):
            logits = self.forward(tokens[-1], at)
            at += 1
            yield logits

    def uncached(self, tokens, clock):
        clock.begin()
        for _ in range(self.case.new):
            self.decoder.past = 0
            yield self.forward(np.concatenate([self.prompt, *tokens], 1), 0)

    def forward(self, ids, at):
        end = at + ids.shape[1]
        return self.decoder.step(ids, self.mask[:, :end], self.positions[:, at:end])


kept = {}  # the plan that the last request asked to keep


def opened(path):
    """The plan and how long opening it took, in ms; 0 where it was open already."""
    if path in kept:
        return kept[path], 0
    kept.clear()  # before the next one is read
    begin = time.perf_counter()
    kept[path] = Plan(path)
    return kept[path], ms(time.perf_counter() - begin)


def bench(call):
    """Request: jobs.BenchRequest. Result: jobs.BenchResult."""
    request = needs(call, "contract", "cases", "engine")
    plan, took = opened(request["path"])
    result = {"samples": [], "load_ms": took, "warnings": []}
    repetitions = max(request.get("repetitions") or 5, 1)
    for i, of in enumerate(request["cases"]):
        case = Case(of)
        call.progress(i * repetitions, len(request["cases"]) * repetitions, case.name)
        samples, _, warning = run(lambda one: Timer(plan, request["contract"], one, request), request, case, repetitions)
        result["samples"] += [s | {"engine": request["engine"], "round": request.get("round", 0)} for s in samples]
        if warning:
            result["warnings"].append(f"{request['engine']}, {case.key()}: {warning}")
    if took and result["samples"]:
        result["samples"][0]["load_ms"] = took
    if not request.get("keep"):
        kept.clear()
    return result


def logits(call):
    """Request: path, contract, windows ([[id]], of one length), prompt (columns of the
    first pass; the others go one by one). Gives the tensor logits [window, column,
    vocab] in float32."""
    request = needs(call, "contract", "windows", "prompt")
    plan, _ = opened(request["path"])
    ids = np.array(request["windows"], np.int64)
    batch, length = ids.shape
    prompt = min(request["prompt"], length)
    mask, positions = np.ones((batch, length), np.int64), np.tile(np.arange(length), (batch, 1))
    try:
        d = Decoder(plan, request["contract"], batch, length, max(prompt, 1))
        parts = [d.step(ids[:, :prompt], mask[:, :prompt], positions[:, :prompt], every=True)]
        for t in range(prompt, length):
            parts.append(d.step(ids[:, t:t + 1], mask[:, :t + 1], positions[:, t:t + 1], every=True))
    except Failed as e:
        raise wire.Fault("runtime", str(e), "trtforge profiles check says what the profiles hold") from e
    out = np.concatenate(parts, 1)
    call.reply(wire.Tensor("logits", "float", out.shape, np.ascontiguousarray(out)))
    return {}


def needs(call, *names):
    missing = [n for n in ("path", *names) if n not in call.request or call.request[n] is None]
    if missing:
        raise wire.Fault("usage", f"the request lacks {', '.join(missing)}")
    return call.request


if __name__ == "__main__":
    wire.serve("plan", {"bench": bench, "logits": logits}, prepare)
