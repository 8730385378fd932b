package runtimes

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Spec is what can be known of a runtime before it is installed.
type Spec struct {
	Name    string
	What    string // what is in it
	Enables string // what trtforge does with it
	Licence string // in one line
	Read    string // where the licence can be read, if it must be accepted
	Over    string // the runtime this one is laid over, or ""

	asked    []string // what the lock was made for: distribution names
	accept   bool     // its licence must be accepted first
	probe    string   // Python that loads it and prints a line of JSON; "" = a library
	override string   // the environment variable that replaces it
}

// nvidiaTerms is where NVIDIA publishes the agreement that the wheels also carry.
const nvidiaTerms = "https://docs.nvidia.com/deeplearning/tensorrt-rtx/ (under Reference), " +
	"or in the wheel, licenses/LICENSE.txt"

// cudaTerms is where NVIDIA publishes the terms of its CUDA libraries.
const cudaTerms = "https://docs.nvidia.com/cuda/eula/ and https://docs.nvidia.com/deeplearning/cudnn/, or in the wheels"

// Specs is every runtime that can be installed, in the order to install them.
func Specs() []Spec {
	return []Spec{
		{
			Name: "ort", What: "ONNX Runtime 1.32.0, the library (CPU)",
			Enables: "running, calibrating, timing and scoring models on the CPU",
			Licence: "MIT", asked: []string{"onnxruntime"}, override: "TRTFORGE_ORT_LIBRARY",
		},
		{
			Name: "rtx", What: "TensorRT for RTX 1.7.1.116, the builder and its Python bindings; numpy",
			Enables: "building TensorRT-RTX engines, with or without a GPU",
			Licence: "NVIDIA Software License Agreement for TensorRT (numpy: BSD-3-Clause)",
			Read:    nvidiaTerms, accept: true,
			asked:    []string{"tensorrt-rtx-cu12-libs", "tensorrt-rtx-cu12-bindings", "numpy"},
			probe:    importing("tensorrt_rtx_bindings", "numpy"),
			override: "TRTFORGE_RTX_PYTHON",
		},
		{
			Name: "reference", What: "PyTorch 2.15.0 with its CUDA libraries, transformers 5.23.0",
			Enables: "the FP32 reference that accuracy is measured against",
			Licence: "BSD-3-Clause (PyTorch), Apache-2.0 (transformers), NVIDIA's own terms (the CUDA libraries PyTorch comes with)",
			asked:   []string{"torch", "transformers", "safetensors", "numpy"},
			probe:   importing("torch", "transformers", "safetensors", "numpy"), override: "TRTFORGE_REFERENCE_PYTHON",
		},
		{
			Name: "trt", What: "ONNX Runtime 1.31.1 for GPUs, and the CUDA 13 libraries that it links to",
			Enables: "building and running engines of backends orttrt and ortcuda, on an NVIDIA GPU; TensorRT itself is found, not installed",
			Licence: "MIT (onnxruntime-gpu), NVIDIA's own terms (cuBLAS, cuDNN, cuFFT, cuRAND, NVRTC, CUDA runtime)",
			Read:    cudaTerms, accept: true,
			asked: []string{"onnxruntime-gpu", "nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cudnn-cu13"},
			probe: loadGPU, override: "TRTFORGE_TRT_PYTHON",
		},
		{
			Name: "oracle", What: "onnx, onnxruntime, scipy and statsmodels for Python, laid over the reference runtime",
			Enables: "trtforge's own tests, which compare with them",
			Licence: "Apache-2.0 (onnx), MIT (onnxruntime), BSD-3-Clause (scipy, statsmodels)", Over: "reference",
			asked: []string{"onnx", "onnxruntime", "scipy", "statsmodels"},
			probe: importing("onnx", "onnxruntime", "scipy", "statsmodels", "torch", "transformers"), override: "TRTFORGE_ORACLE_PYTHON",
		},
		{
			Name: "oracle-trt", What: "ONNX Runtime 1.31.1 with its TensorRT EP, Polygraphy and Triton's client, for their parsers",
			Enables: "trtforge's own tests of the texts that it writes",
			Licence: "MIT (onnxruntime-gpu), Apache-2.0 (Polygraphy), BSD-3-Clause (tritonclient, protobuf, numpy)",
			asked:   []string{"onnxruntime-gpu", "polygraphy", "tritonclient", "protobuf", "numpy"},
			probe:   importing("onnxruntime", "polygraphy", "numpy"), override: "TRTFORGE_ORACLE_TRT_PYTHON",
		},
		{
			Name: "oracle-modelopt", What: "NVIDIA ModelOpt 0.47.0 with ONNX Runtime 1.24.4 (CPU), laid over the reference runtime",
			Enables: "trtforge's own tests and figures of quantization, which compare with it",
			Licence: "Apache-2.0 (ModelOpt, onnx, onnx-graphsurgeon, lief), MIT (onnxruntime, onnxslim, onnxscript, onnx-ir), BSD-3-Clause (scipy, nvidia-ml-py, protobuf)", Over: "reference",
			asked: []string{"nvidia-modelopt", "onnx", "onnxruntime"},
			probe: "import modelopt.onnx.quantization\n" + importing("modelopt", "onnx", "onnxruntime"), override: "TRTFORGE_ORACLE_MODELOPT_PYTHON",
		},
	}
}

// Lookup is the Spec of a name; an unknown name is a Usage error that lists the
// known ones.
func Lookup(name string) (Spec, error) {
	for _, s := range Specs() {
		if s.Name == name {
			return s, nil
		}
	}
	return Spec{}, fault.New(fault.Usage, "setting up", name, "there is no such runtime", "choose among "+strings.Join(Names(), ", "))
}

// Names is the name of every runtime, in the order to install them.
func Names() []string {
	var out []string
	for _, s := range Specs() {
		out = append(out, s.Name)
	}
	return out
}

// Pinned is, by runtime, what its lock pins of the things one asks for:
// "torch 2.15.0, transformers 5.23.0".
func Pinned() map[string]string {
	out := map[string]string{}
	for _, s := range Specs() {
		lock, err := LockOf(s.Name)
		if err != nil {
			continue // embedded, so a test would have failed
		}
		var pins []string
		for _, name := range s.asked {
			pins = append(pins, name+" "+lock.Versions[name])
		}
		out[s.Name] = strings.Join(pins, ", ")
	}
	return out
}

// library says whether the runtime is a shared library rather than a Python
// environment.
func (s Spec) library() bool { return s.probe == "" }

// takesIndex says whether builds of this runtime differ from index to index, as
// PyTorch's do.
func (s Spec) takesIndex() bool { return slices.Contains(s.asked, "torch") }

// importing is a Python program that imports modules and prints their versions
// and where packages live.
func importing(modules ...string) string {
	return "import importlib, json, sysconfig\n" +
		"names = '" + strings.Join(modules, " ") + "'.split()\n" +
		"print(json.dumps({'versions': {n: str(importlib.import_module(n).__version__) for n in names}, " +
		"'site': sysconfig.get_path('purelib')}))\n"
}
