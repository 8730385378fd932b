"""Tests of the worker's end of the pipe, with the standard library only.

    python3 -m unittest discover -s internal/worker/pytest
"""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import unittest

PY = pathlib.Path(__file__).resolve().parent.parent / "py"
sys.path.insert(0, str(PY))

import wire  # noqa: E402

ECHO = """
import sys
sys.path.insert(0, {py!r})
import wire
def echo(call):
    print("a library's print")
    call.progress(1, 2, "halfway")
    return call.request
def fail(call):
    raise wire.Fault("input", "it is broken", "mend it")
def crash(call):
    return 1 / 0
wire.serve("echo", {{"echo": echo, "fail": fail, "crash": crash}})
"""


def frame(value):
    body = json.dumps(value).encode()
    return struct.pack("<I", len(body)) + body


def read(stream):
    head = stream.read(4)
    return json.loads(stream.read(struct.unpack("<I", head)[0])) if head else None


class Worker(unittest.TestCase):
    def setUp(self):
        self.child = subprocess.Popen([sys.executable, "-c", ECHO.format(py=str(PY))], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(self.next()["type"], "hello")
        self.assertEqual(self.next()["type"], "ready")

    def tearDown(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def next(self):
        while (f := read(self.child.stdout))["type"] == "heartbeat":
            pass
        return f

    def ask(self, job, request=None):
        self.child.stdin.write(frame({"type": "job", "id": 7, "job": job, "request": request or {}}))
        self.child.stdin.flush()
        while (f := self.next())["type"] == "progress":
            self.assertEqual((f["id"], f["done"], f["total"], f["note"]), (7, 1, 2, "halfway"))
        return f

    def test_a_print_damages_no_frame(self):
        f = self.ask("echo", {"n": [1, 2]})
        self.assertEqual((f["type"], f["id"], f["result"]), ("result", 7, {"n": [1, 2]}))

    def test_a_fault_keeps_its_class(self):
        f = self.ask("fail")
        self.assertEqual((f["type"], f["code"], f["cause"], f["fix"]), ("error", "input", "it is broken", "mend it"))

    def test_an_exception_is_an_error_and_not_the_end(self):
        self.assertEqual(self.ask("crash")["code"], "runtime")
        self.assertEqual(self.ask("nothing")["code"], "usage")
        self.assertEqual(self.ask("echo", {"a": 1})["result"], {"a": 1})

    def test_the_end_of_stdin_ends_it_at_once(self):
        self.child.stdin.close()
        self.assertEqual(self.child.wait(timeout=5), 0)
        self.child.stdin = open(os.devnull, "wb")  # for tearDown

    def test_an_oversized_frame_ends_it(self):
        self.child.stdin.write(struct.pack("<I", wire.MAX_FRAME + 1))
        self.child.stdin.flush()
        self.assertNotEqual(self.child.wait(timeout=5), 0)


class Plain(unittest.TestCase):
    def test_numbers_that_json_lacks_are_words(self):
        said = wire.plain({"a": math.nan, 1: (math.inf, -math.inf, 0.5)})
        self.assertEqual(said, {"a": "NaN", "1": ["Infinity", "-Infinity", 0.5]})
        json.dumps(said, allow_nan=False)


if __name__ == "__main__":
    unittest.main()
