"""Tests of what the RTX worker does itself, which need no TensorRT."""
import hashlib
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "py"))

import rtx  # noqa: E402


class Plan(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "engine.plan")

    def tearDown(self):
        self.dir.cleanup()

    def test_pieces_are_written_and_hashed_in_their_order(self):
        pieces = [bytes([i]) * (1 << 20) for i in range(20)]
        with rtx.Plan(self.path) as plan:
            for p in pieces:
                self.assertEqual(plan.write(p), len(p))
        with open(self.path, "rb") as f:
            self.assertEqual(f.read(), b"".join(pieces))
        self.assertEqual((plan.bytes, plan.sum.hexdigest()), (20 << 20, hashlib.sha256(b"".join(pieces)).hexdigest()))

    def test_a_disk_that_fails_is_told_at_the_end(self):
        with self.assertRaises(OSError):
            with rtx.Plan(self.path) as plan:
                plan.file.close()
                plan.file = open(self.path, "rb", buffering=0)  # which takes no bytes
                self.assertEqual(plan.write(b"piece"), 0)

    def test_what_failed_already_is_not_hidden(self):
        with self.assertRaises(KeyError):
            with rtx.Plan(self.path) as plan:
                plan.error = OSError("the disk")
                raise KeyError


if __name__ == "__main__":
    unittest.main()
