"""The worker's end of trtforge's pipe: framing, heartbeat, progress, errors.

A worker is a file beside this one which calls `serve("name", {"job": function})`.
A job is a function of one argument, a `Call`; what it returns (anything JSON can
hold) goes back to the parent. It says what went wrong with `Fault`; any other
exception becomes a "runtime" error with its traceback on stderr.

    import wire
    def double(call):
        call.progress(1, 2, "halfway")
        return {"twice": 2 * call.request["n"]}
    if __name__ == "__main__":
        wire.serve("doubler", {"double": double})

Control frames are a little-endian u32 length and JSON, read from stdin and
written to the original stdout. Descriptor 1 itself is pointed at stderr first,
so that no library's print can damage a frame. Tensors travel beside the frames
on descriptor 3 as u32 length + chunk, each chunk 16 MiB at most. Only the
standard library is imported here: the first heartbeat must not wait for torch.
"""

import errno
import faulthandler
import json
import math
import os
import queue
import struct
import sys
import threading
import time
import traceback

PROTOCOL = 1
MAX_FRAME = 64 << 20
MAX_CHUNK = 16 << 20
HEARTBEAT_S = 2.0
TENSOR_FD = 3


class Fault(Exception):
    """A failure of a known class: code is input, usage, missing or runtime."""

    def __init__(self, code, cause, fix=""):
        super().__init__(cause)
        self.code, self.cause, self.fix = code, cause, fix


class Tensor:
    """name, type ("float", "int64", ... as in ONNX), dims, data (bytes, little-endian)."""

    def __init__(self, name, type, dims, data):
        self.name, self.type, self.dims, self.data = name, type, list(dims), data


class Call:
    """One job: request (decoded JSON), tensors (list of Tensor), and the way back."""

    def __init__(self, pipe, frame, tensors):
        self._pipe, self.id = pipe, frame.get("id", 0)
        self.job = frame.get("job", "")
        self.request = frame.get("request") or {}
        self.tensors = tensors
        self.replies = []
        self._last = {}

    def progress(self, done, total=0, note="", path=()):
        """Tells the parent how far the job is, at most 20 times a second for
        each path unless it is done. total 0 = not known; path names nested
        parts of the work. May be called from any thread."""
        now, key = time.monotonic(), tuple(path)
        if done != total and now - self._last.get(key, 0.0) < 0.05:
            return
        self._last[key] = now
        self._pipe.send({"type": "progress", "id": self.id, "done": int(done),
                         "total": int(total), "note": note, "path": list(path)})

    def reply(self, tensor):
        """Adds a tensor that goes back with the result."""
        self.replies.append(tensor)


class Pipe:
    """Frames in both directions; send may be called from any thread."""

    def __init__(self):
        self._in = os.dup(0)
        self._out = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        try:
            os.set_inheritable(TENSOR_FD, False)
        except OSError:
            pass  # no tensors on this pipe
        self._lock = threading.Lock()

    def send(self, frame, tensors=()):
        body = json.dumps(plain(frame), allow_nan=False).encode()
        if len(body) > MAX_FRAME:
            raise Fault("runtime", f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
        with self._lock:
            try:
                write_all(self._out, struct.pack("<I", len(body)) + body)
                for t in tensors:
                    write_chunks(TENSOR_FD, t.data)
            except OSError:
                os._exit(0)  # the parent is gone: nobody is left to tell

    def receive(self):
        """The next frame, or None at the end of stdin."""
        head = read_exactly(self._in, 4)
        if head is None:
            return None
        (size,) = struct.unpack("<I", head)
        if size > MAX_FRAME:
            raise ValueError(f"the parent announced a frame of {size} bytes, the limit is {MAX_FRAME}")
        body = read_exactly(self._in, size)
        return None if body is None else json.loads(bytes(body))


def serve(name, jobs, prepare=None):
    """Serves jobs until stdin ends; never returns. prepare() runs between hello
    and ready, on the main thread: the place for slow imports. What it returns
    (a dict of versions, say) is sent with ready."""
    faulthandler.enable(sys.stderr)
    pipe = Pipe()
    pipe.send({"type": "hello", "name": name, "protocol": PROTOCOL, "pid": os.getpid(),
               "jobs": sorted(jobs), "python": sys.version.split()[0]})
    todo = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, todo), daemon=True).start()
    threading.Thread(target=_beat, args=(pipe,), daemon=True).start()
    try:
        facts = prepare() if prepare else None
    except BaseException as e:
        pipe.send(error_frame(0, e))
        os._exit(1)
    pipe.send({"type": "ready", "facts": facts or {}})
    while True:
        _run(pipe, jobs, todo.get())


def _read(pipe, todo):
    """Queues jobs. The end of stdin means that the parent closed the worker or
    died: exit at once, whatever the main thread is doing."""
    try:
        while (frame := pipe.receive()) is not None:
            if frame.get("type") == "job":
                todo.put(frame)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _beat(pipe):
    while True:
        time.sleep(HEARTBEAT_S)
        pipe.send({"type": "heartbeat"})


def _run(pipe, jobs, frame):
    """One job from frame to result or error. Jobs run on the main thread, since
    some native libraries insist on it."""
    try:
        tensors = [_take(t) for t in frame.get("tensors") or []]
        call = Call(pipe, frame, tensors)
        if call.job not in jobs:
            raise Fault("usage", f"no job is named {call.job!r}; there are {', '.join(sorted(jobs))}")
        result = jobs[call.job](call)
        pipe.send({"type": "result", "id": call.id, "result": result,
                   "tensors": [{"name": t.name, "type": t.type, "dims": t.dims, "bytes": len(memoryview(t.data).cast("B"))}
                               for t in call.replies]}, call.replies)
    except BaseException as e:
        pipe.send(error_frame(frame.get("id", 0), e))


def error_frame(id, e):
    """The error frame of an exception: Fault says its own class."""
    if isinstance(e, Fault):
        return {"type": "error", "id": id, "code": e.code, "cause": e.cause, "fix": e.fix}
    traceback.print_exception(e, file=sys.stderr)
    sys.stderr.flush()
    if isinstance(e, MemoryError):
        return {"type": "error", "id": id, "code": "runtime", "cause": "out of memory", "fix": "use a machine with more memory or a smaller model"}
    if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return {"type": "error", "id": id, "code": "runtime", "cause": f"writing: {e.strerror}", "fix": "free some space, or choose another disk"}
    code = "missing" if isinstance(e, ImportError) else "runtime"
    fix = "install the runtime again with trtforge setup" if code == "missing" else ""
    return {"type": "error", "id": id, "code": code, "cause": f"{type(e).__name__}: {e}", "fix": fix}


def plain(v):
    """v with NaN and infinities as strings, tuples as lists, keys as text."""
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else ("Infinity" if v > 0 else "-Infinity")
    if isinstance(v, dict):
        return {str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return v


def _take(meta):
    """Reads one announced tensor from descriptor 3."""
    want = int(meta["bytes"])
    data = bytearray()
    while len(data) < want:
        head = read_exactly(TENSOR_FD, 4)
        size = struct.unpack("<I", head)[0] if head is not None else 0
        if head is None:
            os._exit(0)
        if size == 0 or size > MAX_CHUNK or len(data) + size > want:
            raise ValueError(f"tensor {meta.get('name')}: a chunk of {size} bytes after {len(data)} of {want}")
        chunk = read_exactly(TENSOR_FD, size)
        if chunk is None:
            os._exit(0)
        data += chunk
    return Tensor(meta.get("name", ""), meta.get("type", ""), meta.get("dims") or [], data)


def write_chunks(fd, data):
    view = memoryview(data).cast("B")
    for at in range(0, len(view), MAX_CHUNK):
        part = view[at:at + MAX_CHUNK]
        write_all(fd, struct.pack("<I", len(part)))
        write_all(fd, part)


def write_all(fd, data):
    view = memoryview(data)
    while len(view):
        view = view[os.write(fd, view):]


def read_exactly(fd, size):
    """size bytes, or None at the end of the stream."""
    data = bytearray()
    while len(data) < size:
        part = os.read(fd, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return data
