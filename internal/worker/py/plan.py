"""Runs TensorRT and TensorRT-RTX plans: one execution context for each profile, keys and
values on the device.

Job "bench" is jobs.BenchRequest -> jobs.BenchResult, with the timed loop in here. Jobs
"place", "release" and "pass" are a session of the parent (internal/jobs/plan.go), which
scores plans by the code that scores every other engine: the cache lies in memory that
is placed on the device, and what else a pass reads and writes crosses the pipe.

A cache that grows cannot grow in place: each key and value has two buffers, from one
of which a step reads while it writes the other. A cache of fixed length is used the same
way, whole. A step runs in the first profile that holds its shapes. Python's bindings of TensorRT and the CUDA runtime by ctypes are all
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


BF16 = np.dtype("V2")  # which numpy has no numbers for


def kind(trt, of):
    """numpy's name of a type of TensorRT."""
    try:
        return np.dtype(trt.nptype(of))
    except TypeError:
        if of.itemsize != 2:
            raise wire.Fault("usage", f"the plan has inputs or outputs of type {of}, which are not run", "export them as float") from None
        return BF16


def floats(array):
    """Numbers as float32."""
    if array.dtype == BF16:
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


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
        self.types = {n: kind(trt, e.get_tensor_dtype(n)) for n in (e.get_tensor_name(i) for i in range(e.num_io_tensors))}
        self.inputs = [n for n in self.types if e.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.bounds = [{n: (tuple(low), tuple(high)) for n in self.inputs for low, _, high in [e.get_tensor_profile_shape(n, p)]}
                       for p in range(e.num_optimization_profiles)]
        self.contexts = {}
        self.cuda = Cuda()
        self.rooms = {}  # of what crosses the pipe, by name: (bytes, address)

    def room(self, name, size):
        """Memory of the device for a tensor of that name, which later ones use again."""
        have, address = self.rooms.get(name, (0, 0))
        if have < size:
            if have:
                self.cuda.free(address)
            address = self.cuda.take(size)
            self.rooms[name] = (size, address)
        return address

    def release(self):
        """Frees all that was taken for it but the plan itself."""
        self.rooms.clear()
        while self.cuda.held:
            self.cuda.free(self.cuda.held[-1])

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
        self.lib, names = None, [os.environ.get("TRTFORGE_CUDART"), "libcudart.so.13", "libcudart.so.12", "libcudart.so", os.environ.get("TRTFORGE_CUDART_FOUND")]
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

    def free(self, address):
        self.held.remove(address)
        self.check("cudaFree", ctypes.c_void_p(address))

    def clear(self, address, size):
        self.check("cudaMemset", ctypes.c_void_p(address), 0, ctypes.c_size_t(size))

    def put(self, address, array):
        self.check("cudaMemcpy", ctypes.c_void_p(address), array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes), 1)

    def get(self, array, address):
        self.check("cudaMemcpy", array.ctypes.data_as(ctypes.c_void_p), ctypes.c_void_p(address), ctypes.c_size_t(array.nbytes), 2)

    def wait(self):
        self.check("cudaStreamSynchronize", ctypes.c_void_p(self.stream))


class Decoder:
    """Feeds a plan by its contract: batch rows of at most capacity columns, at most
    widest of them in one pass. A plan has one at a time, which has all of its memory."""

    def __init__(self, plan, contract, batch, capacity, widest):
        self.plan, self.batch, self.capacity, self.widest = plan, batch, capacity, widest
        longest = contract.get("max_positions") or 0
        self.buffer = next((d["size"] for t in contract["inputs"] for d in t["dims"] if d["role"] == "buffer"), 0)
        if self.buffer and capacity > self.buffer:
            raise Failed("shape", f"capacity {capacity} exceeds the {self.buffer} columns of the graph's buffer")
        if longest and capacity > longest:
            raise Failed("shape", f"capacity {capacity} exceeds the model's {longest} positions")
        of = {t["kind"]: t["name"] for t in contract["inputs"] if not t["kind"].startswith("past")}
        self.ids, self.mask, self.positions, self.columns = (of.get(k) for k in ("ids", "mask", "positions", "cache_position"))
        self.logits = next(t["name"] for t in contract["outputs"] if t["kind"] == "logits")
        self.last, self.vocab = contract["logits"] == "last", contract["vocab"]
        unknown = set(plan.inputs) - {t["name"] for t in contract["inputs"]}
        other = [t["name"] for t in contract["inputs"] if t["kind"] == "other"]
        if unknown or other or not self.ids:
            raise wire.Fault("usage", f"the plan has inputs that a decoder does not feed: {sorted(unknown) or other}", "name the contract of its graph")
        self.cuda, take = plan.cuda, plan.cuda.take
        plan.release()
        room = 8 * batch * max(capacity, self.buffer)
        self.feeds = {n: take(room) for n in (self.ids, self.mask, self.positions, self.columns) if n}
        self.out = take(plan.types[self.logits].itemsize * batch * (1 if self.last else widest) * self.vocab)
        self.pairs = self.cache(contract)
        self.reset()

    def cache(self, contract):
        """(past's name, present's name, shape without its length, head size, two buffers, their bytes) of each key and value."""
        def sort(tensors, prefix):
            return {(t["layer"] if "layer" in t else 0, t["kind"].removeprefix(prefix)): t for t in tensors if t["kind"].startswith(prefix)}
        past, present = sort(contract["inputs"], "past_"), sort(contract["outputs"], "present_")
        pairs = []
        for key, t in past.items():
            size = self.plan.types[t["name"]].itemsize * self.batch * contract["heads"] * (self.buffer or self.capacity) * contract["head_dim"]
            pairs.append((t["name"], present[key]["name"], (self.batch, contract["heads"]), contract["head_dim"], [self.cuda.take(size), self.cuda.take(size)], size))
        return pairs

    def reset(self):
        self.past, self.turn, self.seconds = 0, 0, 0.0
        if self.buffer:  # a closed column weighs nothing, but nothing times NaN is NaN
            for *_, buffers, size in self.pairs:
                self.cuda.clear(buffers[0], size)

    def step(self, ids, mask, positions):
        """ids, positions [batch, n], mask [batch, past + n]: the logits of the last
        position [batch, vocab] in float32."""
        n = ids.shape[1]
        if self.past + n > self.capacity or n > self.widest:
            raise Failed("shape", f"{self.past} + {n} columns exceed {self.capacity}, or {n} the {self.widest} of a pass")
        if self.buffer:  # columns that are not written yet stay closed
            mask = np.pad(mask, ((0, 0), (0, self.buffer - mask.shape[1])))
        shapes, addresses = {}, {self.logits: self.out}
        for name, value in ((self.ids, ids), (self.mask, mask), (self.positions, positions), (self.columns, np.arange(self.past, self.past + n))):
            if name:
                self.cuda.put(self.feeds[name], np.ascontiguousarray(value, self.plan.types[name]))
                shapes[name], addresses[name] = value.shape, self.feeds[name]
        for past, present, (b, heads), dim, buffers, _ in self.pairs:
            shapes[past] = (b, heads, self.buffer or self.past, dim)
            addresses[past], addresses[present] = buffers[self.turn], buffers[1 - self.turn]
        self.seconds += self.plan.run(shapes, addresses)
        if self.pairs:
            self.past, self.turn = self.past + n, 1 - self.turn
        return self.read(1 if self.last else n)

    def read(self, n):
        kind = self.plan.types[self.logits]
        rows = np.empty((self.batch, self.vocab), kind)
        for b in range(self.batch):
            self.cuda.get(rows[b], self.out + kind.itemsize * self.vocab * (b * n + n - 1))
        return floats(rows)


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


def forget():
    for plan in kept.values():
        plan.release()
    kept.clear()


def opened(path):
    """The plan and how long opening it took, in ms; 0 where it was open already."""
    if path in kept:
        return kept[path], 0
    forget()  # before the next one is read
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
        forget()
    return result


def placed(call):
    """Request: path, bytes. Gives the address of so many bytes on the device."""
    request = needs(call, "bytes")
    try:
        return {"address": opened(request["path"])[0].cuda.take(request["bytes"])}
    except Failed as e:
        raise wire.Fault("runtime", str(e), "ask for a smaller batch or fewer tokens") from e


def released(call):
    request = needs(call, "address")
    opened(request["path"])[0].cuda.free(request["address"])
    return {}


def one_pass(call):
    """Request: path, feeds, answers: {name, type, dims, at}, where at is an address of
    the device, or 0 for what crosses the pipe, in this order."""
    request = needs(call, "feeds", "answers")
    plan, _ = opened(request["path"])
    shapes, addresses, sent = {}, {}, iter(call.tensors)
    try:
        for t in request["feeds"]:
            name = known(plan, t["name"])
            shapes[name], addresses[name] = tuple(t["dims"]), t.get("at") or plan.room(name, 8 * volume(t["dims"]))
            if not t.get("at"):
                value = np.frombuffer(next(sent).data, WIRE[t["type"]])
                plan.cuda.put(addresses[name], np.ascontiguousarray(value.astype(plan.types[name], copy=False)))
        for t in request["answers"]:
            name = known(plan, t["name"])
            addresses[name] = t.get("at") or plan.room(name, plan.types[name].itemsize * volume(t["dims"]))
        plan.run(shapes, addresses)
        for t in request["answers"]:
            if not t.get("at"):
                value = np.empty(t["dims"], plan.types[t["name"]])
                plan.cuda.get(value, addresses[t["name"]])
                if value.dtype != WIRE[t["type"]]:
                    value = floats(value).astype(WIRE[t["type"]])
                call.reply(wire.Tensor(t["name"], t["type"], t["dims"], value.reshape(-1).view(np.uint8)))
    except Failed as e:
        raise wire.Fault("runtime", str(e), "trtforge profiles check says what the profiles hold") from e
    return {}


# The types of numbers that cross the pipe, by ONNX's names.
WIRE = {"float": np.dtype(np.float32), "float16": np.dtype(np.float16), "bfloat16": BF16, "int64": np.dtype(np.int64), "int32": np.dtype(np.int32), "bool": np.dtype(np.bool_)}


def known(plan, name):
    if name not in plan.types:
        raise wire.Fault("usage", f"the plan has no tensor {name}", "name the contract of its graph")
    return name


def volume(dims):
    return int(np.prod(dims, dtype=np.int64))


def needs(call, *names):
    missing = [n for n in ("path", *names) if n not in call.request or call.request[n] is None]
    if missing:
        raise wire.Fault("usage", f"the request lacks {', '.join(missing)}")
    return call.request


if __name__ == "__main__":
    wire.serve("plan", {"bench": bench, "pass": one_pass, "place": placed, "release": released}, prepare)
