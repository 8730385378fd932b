// Package runtimes installs and finds the native software that trtforge drives:
// ONNX Runtime's library, NVIDIA's TensorRT-RTX builder, and PyTorch as the
// reference.
//
// Each runtime is a set of wheels pinned by version and hash in a lock file that
// the binary carries (locks/*.txt, written by tools/lock/lock.py). [Ensure]
// installs one into the user's cache and proves it by loading it; [Find] only
// looks, in well under a millisecond, and starts no process:
//
//	r, err := runtimes.Ensure(ctx, "ort", runtimes.Options{Out: os.Stderr})
//	fmt.Println(r.Library)
//
// A runtime lives in Home()/runtimes/NAME-LOCKHASH and is installed in place (a
// Python environment cannot be renamed), under a lock on the sibling file
// NAME-LOCKHASH.lock. Its .complete is written last, so a directory without it
// is nobody's and is wiped by the next installer. A child that installs dies with
// us, even when we are killed.
//
// Who has the software already says so: [Options] for good (kept in
// runtimes/override.json), or the environment for one run: TRTFORGE_ORT_LIBRARY (a
// libonnxruntime file), TRTFORGE_RTX_PYTHON, TRTFORGE_TRT_PYTHON, TRTFORGE_REFERENCE_PYTHON and
// TRTFORGE_ORACLE_PYTHON (an interpreter that can import what is needed).
// TRTFORGE_PYTHON is the interpreter to install with.
//
// It will not install drivers or classic TensorRT, which it finds, needs no root, and knows
// linux/amd64 with glibc 2.28 or later only.
package runtimes
