"""NVIDIA's TensorRT for RTX builder, ahead of time: no GPU and no driver needed.

Job "build" parses a strongly typed ONNX graph, adds the optimization profiles it
is given and writes three files into the directory it is given: the plan; layers.txt,
the builder's own lines on each layer (name, type, inputs, constants, data types) and on
the memory of each profile, from which the parent reads what was achieved; and
build.log, what else it said. The plan is written and hashed as the builder gives it,
piece by piece, so that it never lies in memory as a whole.
"""

import ctypes
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import wire

KEYS = ("model", "profiles", "target", "out")
LAYERS = "layers.txt"
SAID = "build.log"
MOST = 16 << 20  # characters of that, and warnings that go to the parent:
WARNINGS = 50
MEMORY = ("Total Host Persistent Memory: ", "Total Device Persistent Memory: ", "Max Scratch Memory: ",
          "Total Activation Memory: ", "Total Weights Memory: ")
LOG = None  # TensorRT keeps the first logger of a process for good


def prepare():
    """Imports the bindings before the parent is told that the worker is ready."""
    global LOG
    hold_memory()
    import tensorrt_rtx_bindings as trt
    LOG = make_logger(trt)
    return {"tensorrt_rtx": trt.__version__}


def build(call):
    """Request: model (path), profiles ([{name, inputs: [{input, min, opt, max}]}]),
    target ("" = portable, or "sm80", "sm86", "sm89", "sm120", "sm121"), out
    (an existing directory). Returns version, bytes, the phases' times and the
    peak of memory."""
    import tensorrt_rtx_bindings as trt
    request = call.request
    missing = [k for k in KEYS if k not in request]
    if missing:
        raise wire.Fault("usage", f"the request lacks {', '.join(missing)}")
    log = LOG
    log.forget()
    forget_peak()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    started = time.monotonic()
    call.progress(0, SCALE, "parsing")
    parse(trt, network, log, request["model"])
    parsed = time.monotonic()
    config = builder.create_builder_config()
    # Layer lines are printed at this verbosity only.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)  # FP32 means FP32; on by default
    set_target(trt, config, request["target"])
    for profile in request["profiles"]:
        add_profile(builder, config, network, log, profile)
    config.progress_monitor = make_monitor(trt, call)
    # The bindings let other threads run meanwhile: in a build of 20 s the
    # heartbeat's thread was never more than 0.2 s late.
    out = request["out"]
    with Plan(os.path.join(out, "engine.plan")) as plan:
        if not builder.build_serialized_network_to_stream(network, config, make_stream(trt, plan)):
            plan.check()
            raise wire.Fault("runtime", "the builder gave no engine: " + log.told(), "see the log; `trtforge profiles check` proves shapes")
    built = time.monotonic()
    call.progress(SCALE, SCALE, "writing")
    write(os.path.join(out, LAYERS), "\n".join(log.layers).encode() + b"\n")
    write(os.path.join(out, SAID), "".join(log.said).encode())
    return {
        "version": trt.__version__, "bytes": plan.bytes, "sha256": plan.sum.hexdigest(), "profiles": config.num_optimization_profiles,
        "phases": [{"name": "parse", "ms": 1e3 * (parsed - started)}, {"name": "build", "ms": 1e3 * (built - parsed)}],
        "warnings": log.warnings, "peak_bytes": peak(),
    }


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def hold_memory():
    """Has malloc use again what the builder frees. It takes the weights several times
    over, and memory that comes fresh from the system each time costs half as many page
    faults again: 707,000 instead of 468,000 for GPT-2's 124 million parameters."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):
        pass  # another libc


def forget_peak():
    """Gives back what earlier builds of this process took, and starts the count of its
    peak anew: each build tells its own."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except (OSError, AttributeError):
        pass  # the peak is then that of the process


def peak():
    """The most memory that was resident, in bytes."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def make_logger(trt):
    class Logger(trt.ILogger):
        """Keeps the layer lines, what was wrong, and the rest of what a user may ask
        for; a builder that does not stop talking fills no memory."""

        def __init__(self):
            trt.ILogger.__init__(self)
            self.forget()

        def forget(self):
            self.layers, self.errors, self.warnings, self.said, self.room = [], [], [], [], MOST

        def log(self, severity, text):
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.keep("error", text)
                if "catchCudaError" not in text:  # said after any other error where no GPU is
                    self.errors = self.errors[-2:] + [text]
                print(text, flush=True)  # descriptor 1 is the log
            elif severity == trt.ILogger.WARNING:
                self.keep("warning", text)
                if not text.endswith("has Int64 binding."):  # that is said of every graph of tokens
                    if len(self.warnings) < WARNINGS:
                        self.warnings.append(text)
                    print(text, flush=True)
            elif severity == trt.ILogger.INFO:
                self.keep("info", text)
            if "LayerType: " in text:  # one message holds the lines of a profile
                self.layers.extend(line for line in text.split("\n") if line.startswith("Name: "))
            elif text.startswith(MEMORY) and text.endswith(" bytes"):  # said once a profile
                self.layers.append(text)

        def keep(self, severity, text):
            if "LayerType: " in text or self.room <= 0:
                return
            line = f"{severity}: {text[:self.room]}\n"
            self.said.append(line)
            self.room -= len(line)

        def told(self):
            return "; ".join(self.errors) or "it said nothing"

    return Logger()


def parse(trt, network, log, path):
    if not os.path.isfile(path):
        raise wire.Fault("input", f"{path} is no file", "export the model again")
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(path):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    said = "; ".join(f"node {e.node_name()!r}: {e.desc()}" for e in errors) or log.told()
    raise wire.Fault("runtime", f"TensorRT does not take the graph: {said}", "check the types around that node")


def set_target(trt, config, target):
    if not target:
        return
    capability = getattr(trt.ComputeCapability, target.upper(), None)
    if capability is None or target.lower() in ("none", "current"):
        raise wire.Fault("usage", f"there is no target {target!r}", "use sm80, sm86, sm89, sm120 or sm121, or none for a portable plan")
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(capability, 0):
        raise wire.Fault("usage", f"the builder refuses target {target!r}")


def add_profile(builder, config, network, log, wanted):
    """A profile that the builder refuses leaves a build that succeeds without
    it, so its answer is what counts."""
    inputs = {network.get_input(i).name: network.get_input(i) for i in range(network.num_inputs)}
    unknown = [r["input"] for r in wanted["inputs"] if r["input"] not in inputs]
    lacking = sorted(set(inputs) - {r["input"] for r in wanted["inputs"]})
    if unknown or lacking:
        raise wire.Fault("usage", f"profile {wanted['name']} names {unknown or 'no unknown input'} and lacks {lacking or 'none'}",
                         "derive the plan from this graph")
    profile = builder.create_optimization_profile()
    for r in wanted["inputs"]:
        try:
            profile.set_shape(r["input"], r["min"], r["opt"], r["max"])
        except (RuntimeError, TypeError, ValueError) as e:
            raise wire.Fault("runtime", f"the builder refuses profile {wanted['name']}, input {r['input']}, min {r['min']}, "
                             f"opt {r['opt']}, max {r['max']}: {e}", "derive the plan again") from e
    if config.add_optimization_profile(profile) < 0:
        raise wire.Fault("runtime", f"the builder refuses profile {wanted['name']}: {log.told()}", "derive the plan again")


SCALE = 1000  # what a build is counted in


def make_monitor(trt, call):
    class Monitor(trt.IProgressMonitor):
        """One count for the whole build. Phases lie inside each other, are many
        and come again; each is a share of one step of the phase that holds it."""

        def __init__(self):
            trt.IProgressMonitor.__init__(self)
            self.shares, self.done = {}, 0  # by phase: [where it stands, width of a step, note, depth]

        def phase_start(self, name, parent, steps):
            at, width, note, depth = self.shares.get(parent, (0.0, 1.0, name, 0))
            # The third level says best what is being done; those below flicker.
            self.shares[name] = [at, width / max(steps, 1), name if depth < 3 else note, depth + 1]
            self.report(name)

        def step_complete(self, name, step):
            if name in self.shares:
                self.shares[name][0] += self.shares[name][1]
                self.report(name)
            return True  # the parent cancels by ending this process

        def phase_finish(self, name):
            self.shares.pop(name, None)

        def report(self, name):
            self.done = max(self.done, min(SCALE - 1, int(SCALE * self.shares[name][0])))
            call.progress(self.done, SCALE, self.shares[name][2])

    return Monitor()


class Plan:
    """The plan's file. A piece is hashed while it is written and the next one is made;
    the end of the with statement sees that all of them are on the disk."""

    def __init__(self, path):
        self.file = open(path, "xb", buffering=0)
        self.sum, self.bytes, self.error = hashlib.sha256(), 0, None
        self.hasher, self.hashing = ThreadPoolExecutor(1), None

    def write(self, piece):
        """How many bytes were taken. An error cannot pass through the builder, so it is
        kept for check."""
        try:
            if self.hashing:
                self.hashing.result()  # no more than two pieces are held
            self.hashing = self.hasher.submit(self.sum.update, piece)
            wire.write_all(self.file.fileno(), piece)
        except Exception as e:
            self.error = e
            return 0
        self.bytes += len(piece)
        return len(piece)

    def check(self):
        if self.error:
            raise self.error

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        with self.file:
            self.hasher.shutdown()
            if not failed:
                self.check()
                os.fsync(self.file.fileno())


def make_stream(trt, plan):
    class Stream(trt.IStreamWriter):
        def __init__(self):
            trt.IStreamWriter.__init__(self)

        def write(self, piece):
            return plan.write(piece)

    return Stream()


def write(path, data):
    with open(path, "xb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


if __name__ == "__main__":
    wire.serve("rtx", {"build": build}, prepare)
