package doctor

import (
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// Machine is everything the checks ask about, so that tests can examine machines
// that they do not run on.
type Machine struct {
	Version string // of trtforge
	Path    string // of its binary
	Cgo     bool   // built with cgo: it can run ONNX Runtime

	Platform func() error // nil where the native runtimes run
	Glibc    string
	Find     func(name string) (runtimes.Runtime, bool)
	LibDirs  []string                          // where shared libraries are looked for
	TRTDirs  []string                          // where TensorRT's are
	LookPath func(name string) (string, error) // an executable
	GPUs     func() (driver string, g []GPU, e error)
	Home     func() (string, error)          // trtforge's directory
	Free     func(dir string) (int64, error) // bytes
	Features map[string]bool                 // of the CPU, by Linux's names
	CPUs     int                             // of the machine
	Threads  int                             // that the cgroup and affinity leave
	Memory   int64                           // bytes that a child may take; -1 = not known
	Environ  []string                        // NAME=value
}

// GPU is what trtforge wants to know of a GPU.
type GPU struct {
	Name        string `json:"name"`
	Compute     string `json:"compute"` // compute capability, "8.9"
	MemoryBytes uint64 `json:"memory_bytes"`
	Driver      string `json:"driver"`
	CUDA        string `json:"cuda"` // the newest CUDA that the driver runs, "12.9"
}

// ThisMachine is the machine and process we are.
func ThisMachine(version string) Machine {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	x := cpu.X86
	return Machine{
		Version: version, Path: path, Cgo: builtWithCgo,
		Platform: runtimes.CheckPlatform, Glibc: runtimes.Glibc(),
		Find: runtimes.Find, LibDirs: runtimes.LibraryDirs(), TRTDirs: runtimes.TRTDirs(), LookPath: exec.LookPath, GPUs: gpus,
		Home: runtimes.Home, Free: runtimes.FreeBytes,
		Features: map[string]bool{"avx2": x.HasAVX2, "avx512f": x.HasAVX512F, "avx512_vnni": x.HasAVX512VNNI,
			"avx_vnni": x.HasAVXVNNI, "amx_int8": x.HasAMXInt8},
		// Go sets GOMAXPROCS from the cgroup's quota and the affinity mask.
		CPUs: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0),
		Memory: child.DefaultMemory(), Environ: os.Environ(),
	}
}
