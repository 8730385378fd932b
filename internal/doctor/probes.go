package doctor

import (
	"github.com/trtforge/trtforge/internal/runtimes"
)

// probes is every check, as data. An id that Needs lists can be required.
func probes() []probe {
	return []probe{
		{"binary", "trtforge", "everything", "", lookBinary},
		{"platform", "linux/amd64 with glibc 2.28 or later", "the native runtimes",
			"use such a machine, or a container of one", lookPlatform},
		{"ort", "ONNX Runtime", "running, calibrating, timing and scoring models; engines of backend ortcpu",
			"trtforge setup ort", lookORT},
		{"rtx", "TensorRT for RTX (builder)", "building engines of backend rtx, with or without a GPU",
			"trtforge setup rtx --accept-licence", lookRuntime("rtx")},
		{"reference", "PyTorch and transformers", "the live FP32 reference of perplexity and KL",
			"trtforge setup reference, or keep to a recorded reference bundle", lookRuntime("reference")},
		{"oracle", "onnx, onnxruntime, scipy and statsmodels for Python", "trtforge's own tests only",
			"trtforge setup oracle", lookRuntime("oracle")},
		{"python", "Python 3.11 to 3.13", "installing runtimes", "install python3, python3-venv and python3-pip", lookPython},
		{"workers", "Python workers", "the builder and the reference, each in a process of its own",
			"trtforge setup rtx reference", lookWorkers},
		{"cuda", "CUDA driver (libcuda.so.1)", "everything that runs on an NVIDIA GPU",
			"install NVIDIA's driver; in a container, start it with --gpus all", lookCUDA},
		{"gpu", "NVIDIA GPU", "running TensorRT and TensorRT-RTX engines, and timing them",
			"use a machine with one; engines of backend rtx can be built here all the same", lookGPU},
		{"trt", "TensorRT " + runtimes.TRTMajor + " (libnvinfer) and the GPU build of ONNX Runtime", "engines of backend orttrt, on a GPU; of ortcuda with the latter alone",
			"trtforge setup trt --accept-licence installs ONNX Runtime and says where to get TensorRT (" + runtimes.TRTDownload + ")", lookTRT},
		{"ort-gpu", "GPU build of ONNX Runtime", "engines of backend ortcuda, on a GPU",
			"trtforge setup trt --accept-licence", lookRuntime("trt")},
		{"trtexec", "trtexec", "building and timing TensorRT engines by NVIDIA's own tool",
			"it comes with TensorRT: libnvinfer-bin, or the archive's bin directory; add that to PATH", lookTrtexec},
		{"int8", "CPU instructions for INT8", "INT8 models that are faster than FP32 on this CPU",
			"expect INT8 to be no faster here; its numerics are still right", lookINT8},
		{"threads", "CPU threads", "parallel work; ONNX Runtime and PyTorch get this many", "", lookThreads},
		{"memory", "memory for a child process", "builds and models; a child beyond it is ended", "", lookMemory},
		{"disk", "free disk space", "runtimes, engines, stages", "", lookDisk},
		{"environment", "environment variables", "nothing: they change results without a word", "", lookEnvironment},
	}
}
