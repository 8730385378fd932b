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

// Placer is what a session may be besides, where the graph runs on a device with
// memory of its own: buffers that only the graph looks at can lie there.
type Placer interface {
	// Place gives n bytes there, or nil where there is no such device. They are
	// addresses for Bind and nothing else: who reads or writes them crashes.
	Place(n int64) ([]byte, error)
	// Release frees what Place gave; nothing may be bound to it any more.
	Release(b []byte) error
}

// Around is a session within another, for who wants to see its runs: an embedded
// Session alone would hide that it can place.
type Around struct{ Session }

// Place is the session's, where it has a device.
func (a Around) Place(n int64) ([]byte, error) {
	if p, ok := a.Session.(Placer); ok {
		return p.Place(n)
	}
	return nil, nil
}

// Release is the session's.
func (a Around) Release(b []byte) error { return a.Session.(Placer).Release(b) }
