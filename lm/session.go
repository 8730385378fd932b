package lm

import "github.com/trtforge/trtforge/onnx"

// Bound is a run whose tensors lie where they were bound. It is an alias, so
// that a backend's own interface of the same two methods is the same type.
type Bound = interface {
	Run() error
	Close() error
}

// Session is a loaded model. Its methods are called from one goroutine at a
// time.
type Session interface {
	// Run feeds tensors and returns those named by fetch, newly allocated.
	Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error)
	// Bind prepares a run that reads in and writes out in place: the bytes
	// of both are used where they are until the Bound is closed, and a change
	// of the inputs' bytes between two runs is seen by the next.
	Bind(in, out []onnx.Tensor) (Bound, error)
	Close() error
}
