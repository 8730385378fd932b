package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/internal/runtimes"
)

func lookBinary(_ context.Context, m Machine) finding {
	f := finding{found: true, version: m.Version, detail: []string{m.Path}}
	if !m.Cgo {
		f.warn = "built without cgo: commands that need ONNX Runtime end with status 3; build with CGO_ENABLED=1 and a C compiler"
	}
	return f
}

func lookPlatform(_ context.Context, m Machine) finding {
	if err := m.Platform(); err != nil {
		return finding{detail: []string{err.Error()}}
	}
	return finding{found: true, version: "glibc " + m.Glibc}
}

// int8Ways is the instruction sets that make INT8 fast, best first, and what
// each is worth.
var int8Ways = [...]struct{ feature, worth string }{
	{"amx_int8", "tiles of INT8 products"},
	{"avx512_vnni", "four INT8 products per lane and instruction"},
	{"avx_vnni", "four INT8 products per lane and instruction, 256 bits wide"},
}

func lookINT8(_ context.Context, m Machine) finding {
	var f finding
	for _, way := range int8Ways {
		if m.Features[way.feature] {
			f.found = true
			f.detail = append(f.detail, way.feature+": "+way.worth)
			if f.version == "" {
				f.version = way.feature
			}
		}
	}
	switch {
	case f.found:
	case m.Features["avx2"]:
		f.found, f.version = true, "avx2"
		f.warn = "no VNNI: INT8 gains little here, and ONNX Runtime's unsigned-by-signed products may saturate at 16 bits: a loss of accuracy that GPUs and newer CPUs do not show"
	default:
		f.detail = []string{"neither AVX2 nor VNNI"}
	}
	return f
}

func lookThreads(_ context.Context, m Machine) finding {
	f := finding{found: true, version: fmt.Sprint(m.Threads)}
	if m.Threads < m.CPUs {
		f.detail = []string{fmt.Sprintf("of %d CPUs: the cgroup's quota, the affinity mask or GOMAXPROCS leaves no more", m.CPUs)}
	}
	return f
}

// smallMemory is what the builder took at most for GPT-2 124M in FP32 with two
// profiles.
const smallMemory = 2_400_000_000

func lookMemory(_ context.Context, m Machine) finding {
	if m.Memory < 0 {
		return finding{found: true, version: "not known"}
	}
	f := finding{found: true, version: runtimes.Size(m.Memory), detail: []string{"80 % of what the machine or the cgroup has"}}
	if m.Memory < smallMemory {
		f.warn = "GPT-2 124M in FP32 takes the builder 2.4 GB; raise the limit for models of that size"
	}
	return f
}

func lookDisk(_ context.Context, m Machine) finding {
	home, err := m.Home()
	if err != nil {
		return finding{found: true, version: "not known", warn: err.Error()}
	}
	free, err := m.Free(home)
	if err != nil {
		return finding{found: true, version: "not known", warn: err.Error()}
	}
	f := finding{found: true, version: runtimes.Size(free), detail: []string{"for " + home + " (TRTFORGE_HOME)"}}
	_, installed := m.Find("reference")
	if lock, err := runtimes.LockOf("reference"); err == nil && !installed && free < lock.Need() {
		f.warn = "`trtforge setup reference` wants " + runtimes.Size(lock.Need()) + " meanwhile; set TRTFORGE_HOME to a directory on another disk"
	}
	return f
}

// silent is the variables that change what the native runtimes do, and how. A
// name that ends in * stands for all that begin so.
var silent = [...]struct{ name, effect string }{
	{"ORT_TENSORRT_*", "sets an option of ONNX Runtime's TensorRT EP wherever the session sets none"},
	{"ORT_DUMP_EP_CONTEXT_MODEL", "makes ONNX Runtime's TensorRT EP write context models"},
	{"ORT_EP_CONTEXT_EMBED_MODE", "changes what such a context model holds"},
	{"NVIDIA_TF32_OVERRIDE", "switches TF32 for all of CUDA: 0 off, whatever a program asks"},
	{"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "lets PyTorch's FP32 products be TF32"},
	{"CUDA_VISIBLE_DEVICES", "hides or reorders GPUs"},
	{"CUDA_MODULE_LOADING", "changes when kernels are loaded, and so memory and first timings"},
	{"CUDA_LAUNCH_BLOCKING", "makes every launch wait: timings are of another program"},
	{"CUBLAS_WORKSPACE_CONFIG", "changes which cuBLAS algorithms are chosen"},
	{"OMP_NUM_THREADS", "changes the threads of PyTorch and of OpenMP builds: CPU timings"},
	{"MKL_NUM_THREADS", "changes the threads of PyTorch's matrix products: CPU timings"},
	{"KMP_AFFINITY", "pins OpenMP threads: CPU timings"},
	{"GOMP_CPU_AFFINITY", "pins OpenMP threads: CPU timings"},
	{"ATEN_CPU_CAPABILITY", "forbids PyTorch instruction sets: speed and last digits"},
	{"DNNL_MAX_CPU_ISA", "forbids oneDNN instruction sets: speed and last digits"},
	{"ONEDNN_DEFAULT_FPMATH_MODE", "lets oneDNN compute FP32 products in less"},
	{"LD_PRELOAD", "puts a library before every other"},
	{"GOMAXPROCS", "changes the threads that trtforge gives to runtimes"},
}

func lookEnvironment(_ context.Context, m Machine) finding {
	f := finding{found: true, version: "none set"}
	for _, kv := range m.Environ {
		name, value, _ := strings.Cut(kv, "=")
		for _, s := range silent {
			prefix, wild := strings.CutSuffix(s.name, "*")
			if name == s.name || wild && strings.HasPrefix(name, prefix) {
				f.detail = append(f.detail, fmt.Sprintf("%s=%s %s", name, value, s.effect))
			}
		}
	}
	if n := len(f.detail); n > 0 {
		f.version = fmt.Sprintf("%d set", n)
		f.warn = "unset them unless they are meant"
	}
	return f
}
