// Package ort is ONNX Runtime: the only importer of onnxruntime_go, and the
// child process that it runs in.
//
// A process loads one libonnxruntime and may be taken down by it, so nothing
// but a child does (see internal/child). The parent has a [Client], which
// starts this executable again with the hidden command [Command] and the
// library's path in the environment; there, [Serve] loads the library and
// serves whole jobs. Inside a job:
//
//	s, err := ort.Open("model.onnx", ort.Options{Threads: 2})
//	defer s.Close()
//	out, err := s.Run(feeds, []string{"logits"})     // allocates
//	b, err := s.Bind(in, out)                        // uses the caller's bytes
//	defer b.Close()
//	err = b.Run()                                    // allocates nothing in Go
//
// Without cgo the package compiles, and everything that would need ONNX
// Runtime answers with a fault.Missing.
//
// It runs on the CPU, or on another device through a [Provider], whose failure is
// an error and never a slower session. It knows nothing of what tensors mean
// (contract, lm), and is not safe for two goroutines in one session.
package ort

import (
	"runtime"

	"github.com/trtforge/trtforge/onnx"
)

// Command is the hidden first argument that makes an executable an ONNX
// Runtime child.
const Command = "__ort"

// LibraryEnv is the environment variable that tells the child which
// libonnxruntime to load.
const LibraryEnv = "TRTFORGE_ORT_LIB"

// Optimize is how much ONNX Runtime rewrites a graph when it opens it.
type Optimize string

// The levels, with ONNX Runtime's meaning.
const (
	OptimizeAll      Optimize = "all" // also what suits this CPU only; the zero value means the same
	OptimizeExtended Optimize = "extended"
	OptimizeBasic    Optimize = "basic"
	OptimizeNone     Optimize = "none"
)

// Options of Open; the zero value is good for everything but timing.
type Options struct {
	Weights  string   // the directory of the model's external data; "" is the model's own
	Threads  int      // intra-op threads; 0: as many as the cgroup and the machine give
	Spin     bool     // idle threads spin: faster in a timed section, a waste of a core elsewhere
	Optimize Optimize // all

	// SaveOptimized is a path for the optimised graph. Weights of 1 KiB or more
	// go to SaveOptimized+".data", so that models beyond 2 GiB work.
	SaveOptimized string

	Provider *Provider         // who runs the nodes before the CPU does; nil: nobody
	Record   bool              // keep which provider got which nodes, for [Session.Assigned]
	Config   map[string]string // further entries of the session's configuration
	Run      map[string]string // entries of each bound run's configuration
	// Device is the memory that [Session.Place] gives: "Cuda", or "Cpu", which is
	// ordinary memory treated as if it were another's. "" gives none.
	Device string
}

// The providers that a GPU build has built in.
const (
	TensorRT = "tensorrt"
	CUDA     = "cuda"
)

// Provider is an execution provider and its options.
type Provider struct {
	Name    string            `json:"name"`              // TensorRT, CUDA or what a plugin calls itself
	Library string            `json:"library,omitempty"` // of a plugin; "" is built in
	Options map[string]string `json:"options,omitempty"`
	Strict  bool              `json:"strict,omitempty"` // a node that is left to the CPU is an error
}

// Subgraph is what one provider runs as one.
type Subgraph struct {
	Provider string `json:"provider"` // by ONNX Runtime's name, "CPUExecutionProvider"
	Nodes    []Node `json:"nodes"`
}

// Node is a node of a graph as its provider got it.
type Node struct {
	Name   string `json:"name"`
	Domain string `json:"domain,omitempty"`
	Op     string `json:"op"`
}

// Info describes a graph input or output. Symbolic dimensions keep their names.
type Info struct {
	Name string
	Type onnx.DType
	Dims []onnx.Dim
}

// Bound is a run whose tensors lie where they were bound.
type Bound = interface {
	Run() error
	Close() error
}

// Threads is how many threads the machine and the cgroup's quota give.
func Threads() int { return runtime.GOMAXPROCS(0) }
