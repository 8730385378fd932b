#!/usr/bin/env python3
"""Writes the hash-pinned lock files of trtforge's runtimes.

usage: lock.py OUT_DIR [--only NAME,...] PYTHON...
e.g.   lock.py internal/runtimes/locks python3.11 python3.12 python3.13
       lock.py internal/runtimes/locks --only oracle python3.11 python3.12 python3.13

Each PYTHON resolves for itself, so that environment markers mean what they will mean on a
user's machine; the wheels are those of manylinux up to 2.28. A package whose version is the
same everywhere gets one entry with all hashes, any other gets an entry per Python version.
The wheels of the first PYTHON are then downloaded (about 3 GB) to learn sizes and licences.
--only leaves the other locks as they are and takes from them what they pin.

No index's address is written: only names, versions, hashes, sizes and licences.
"""
import email, json, os, re, subprocess, sys, tempfile, zipfile

ORT = "onnxruntime==1.32.0"
# Of the ort runtime only the libraries inside the wheel are installed.
LIBRARY = re.compile(r"/libonnxruntime\w*\.so[.\d]*$")
# name: (what is asked for, pip's extra options, the runtime it is laid over)
RUNTIMES = {
    "ort": ([ORT], ["--no-deps"], None),
    "rtx": (["tensorrt-rtx-cu12-libs==1.7.1.116", "tensorrt-rtx-cu12-bindings==1.7.1.116", "numpy==2.4.6"], [], None),
    "reference": (["torch==2.15.0", "transformers==5.23.0", "safetensors==0.8.0", "numpy==2.4.6"], [], None),
    "oracle": ([ORT, "onnx==1.23.2", "scipy==1.17.1", "statsmodels==0.15.0"], [], "reference"),
    # The GPU build of ONNX Runtime and the libraries that its providers link to, of the versions
    # that PyTorch brings where it brings them. Its Python module is not used, so neither is what
    # that asks for. TensorRT is not here: its packages are stubs that download elsewhere.
    "trt": (["onnxruntime-gpu==1.31.1", "nvidia-cublas==13.4.1.3", "nvidia-cuda-runtime==13.2.86", "nvidia-cuda-nvrtc==13.2.86",
             "nvidia-cudnn-cu13==9.26.0.51", "nvidia-curand==10.4.2.55", "nvidia-cufft==12.2.0.57"], ["--no-deps"], None),
    # Without what they ask for: tritonclient's gRPC and an older ml-dtypes are not used, and
    # onnxruntime-gpu brings the same module as onnxruntime, so it has an environment of its own.
    "oracle-trt": (["onnxruntime-gpu==1.31.1", "polygraphy==0.53.6", "tritonclient==2.73.0", "protobuf==7.36.2", "numpy==2.4.6"], ["--no-deps"], None),
    # What quantizing to INT8 on the CPU imports, without what the extra "onnx" asks for besides:
    # cupy and the CUDA build of ONNX Runtime, 1 GB, and compilers of its own kernels.
    "oracle-modelopt": (["nvidia-modelopt==0.47.0", "onnx==1.21.0", "onnxruntime==1.24.4", "onnx-graphsurgeon==0.6.1",
                         "onnxslim==0.1.98", "onnxscript==0.7.2", "onnx-ir==1.1.0", "nvidia-ml-py==13.615.71", "lief==1.0.0",
                         "scipy==1.17.1", "ml-dtypes==0.6.0", "protobuf==7.36.2"], ["--no-deps"], "reference"),
}
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] + [
    "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(python, *args):
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", *args], check=True)


def resolve(python, wanted, options, pinned, work):
    """{name: (version, sha256)} of everything that wanted needs under this Python."""
    report, constraints = os.path.join(work, "report.json"), os.path.join(work, "constraints.txt")
    with open(constraints, "w") as f:
        f.writelines(f"{name}=={version}\n" for name, version in pinned.items())
    pip(python, "install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--target", work,
        "--report", report, "--constraint", constraints, *options,
        *(x for p in PLATFORMS for x in ("--platform", p)), *wanted)
    found = {}
    for item in json.load(open(report))["install"]:
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        found[canonical(item["metadata"]["name"])] = (item["metadata"]["version"], digest)
    return found


def entries(by_minor):
    """Lock lines from {minor: {name: (version, sha256)}}, as [(name, text)]."""
    out = []
    for name in sorted({n for found in by_minor.values() for n in found}):
        versions = {}
        for minor, found in by_minor.items():
            if name in found:
                version, digest = found[name]
                versions.setdefault(version, []).append((minor, digest))
        for version, uses in versions.items():
            marker = ""
            if len(uses) < len(by_minor):
                marker = " ; " + " or ".join(f'python_version == "{m}"' for m, _ in uses)
            hashes = sorted({d for _, d in uses})
            out.append((name, f"{name}=={version}{marker}" + "".join(f" \\\n    --hash=sha256:{d}" for d in hashes)))
    return out


def licence(meta):
    text = meta.get("License-Expression") or (meta.get("License") or "").strip().split("\n")[0]
    if not text or len(text) > 80 or text.startswith("Copyright"):
        text = "; ".join(c.split(" :: ")[-1] for c in meta.get_all("Classifier", []) if c.startswith("License")) or text[:80]
    return text or "see the wheel"


def measure(python, lock, work, kept):
    """(download bytes, installed bytes of the files that kept names, {name: licence}) of a lock's wheels."""
    wheels = os.path.join(work, "wheels")
    pip(python, "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", lock, "-d", wheels)
    down = installed = 0
    licences = {}
    for file in sorted(os.listdir(wheels)):
        path = os.path.join(wheels, file)
        down += os.path.getsize(path)
        with zipfile.ZipFile(path) as z:
            installed += sum(i.file_size for i in z.infolist() if kept.search(i.filename))
            metadata = next(n for n in z.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1)
            licences[canonical(file.split("-")[0])] = licence(email.message_from_bytes(z.read(metadata)))
        os.remove(path)
    return down, installed, licences


def write(path, head, items, licences):
    with open(path, "w") as f:
        f.writelines(f"# {line}\n" for line in head)
        for name, text in items:
            f.write(f"# {licences.get(name, 'see the wheel')}\n{text}\n")


def lock(name, out, pythons, done):
    wanted, options, over = RUNTIMES[name]
    by_minor = {}
    for minor, python in pythons.items():
        below = done[over][minor] if over else {}
        with tempfile.TemporaryDirectory() as work:
            found = resolve(python, wanted, options, {n: v for n, (v, _) in below.items()}, work)
        by_minor[minor] = {n: v for n, v in found.items() if n not in below}
    done[name] = by_minor
    path, items = os.path.join(out, name + ".txt"), entries(by_minor)
    head = [f"runtime {name}: written by tools/lock/lock.py, not by hand", "python: " + " ".join(pythons)]
    write(path, head, items, {})
    with tempfile.TemporaryDirectory() as work:
        down, installed, licences = measure(next(iter(pythons.values())), path, work, LIBRARY if name == "ort" else re.compile(""))
    write(path, head + [f"download_bytes: {down}", f"installed_bytes: {installed}"], items, licences)
    print(f"{name}: {len(items)} packages, {down/1e6:.0f} MB to download, {installed/1e6:.0f} MB installed")


PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)(?: ; ([^\\]+))?")


def pinned(path, minors):
    """{minor: {name: (version, None)}} of a lock file as it stands."""
    by_minor = {minor: {} for minor in minors}
    for line in open(path):
        if m := PIN.match(line):
            for minor in minors:
                if m[3] is None or f'"{minor}"' in m[3]:
                    by_minor[minor][m[1]] = (m[2], None)
    return by_minor


def main(out, only, pythons):
    minors = {}
    for python in pythons:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        minors[subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()] = python
    done = {}
    for name in RUNTIMES:
        if only and name not in only:
            done[name] = pinned(os.path.join(out, name + ".txt"), minors)
        else:
            lock(name, out, minors, done)


if __name__ == "__main__":
    rest = sys.argv[2:]
    chosen = rest[1].split(",") if rest[:1] == ["--only"] else []
    if chosen:
        rest = rest[2:]
    if not rest:
        sys.exit(__doc__)
    main(sys.argv[1], chosen, rest)
