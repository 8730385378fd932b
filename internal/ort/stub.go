//go:build !cgo

package ort

import (
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Session is a loaded model, of which there is none without cgo.
type Session struct{}

func missing() error {
	return fault.New(fault.Missing, "loading", "ONNX Runtime", "this binary was built without cgo", "build it with CGO_ENABLED=1 and a C compiler")
}

// Init answers that this binary was built without cgo.
func Init(string) error { return missing() }

// Version is "": nothing is loaded.
func Version() string { return "" }

// Open answers that this binary was built without cgo.
func Open(string, Options) (*Session, error) { return nil, missing() }

// Inputs are none.
func (*Session) Inputs() []Info { return nil }

// Outputs are none.
func (*Session) Outputs() []Info { return nil }

// Run answers that this binary was built without cgo.
func (*Session) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) { return nil, missing() }

// Recycler is a session whose runs use their memory again.
type Recycler struct{}

// Recycling is nothing.
func (*Session) Recycling(...string) *Recycler { return nil }

// Run answers that this binary was built without cgo.
func (*Recycler) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) { return nil, missing() }

// Bind answers that this binary was built without cgo.
func (*Session) Bind(_, _ []onnx.Tensor) (Bound, error) { return nil, missing() }

// Assigned answers that this binary was built without cgo.
func (*Session) Assigned() ([]Subgraph, error) { return nil, missing() }

// Place gives nothing.
func (*Session) Place(int64) ([]byte, error) { return nil, nil }

// Release does nothing.
func (*Session) Release([]byte) error { return nil }

// Steps does nothing.
func (*Session) Steps(*Session, func([]onnx.Tensor) bool) {}

// Close does nothing.
func (*Session) Close() error { return nil }
