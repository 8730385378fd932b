package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// Fake is the least that a builder can be: its engine is the model, which is
// FP32. It writes in pieces, so that an interrupted build leaves half an engine.
type Fake struct {
	Version string        // part of its revision
	Delay   time.Duration // how long a build takes
}

var _ engine.Builder = Fake{}

// Revision is the fake's name and version.
func (f Fake) Revision() string { return "fake " + f.Version }

const pieces = 10

// Build copies the model.
func (f Fake) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if r.Precision != engine.FP32 {
		return nil, fault.New(fault.Runtime, "building", r.Name, "the model is fp32", "ask for fp32")
	}
	model, err := os.ReadFile(r.Model)
	if err != nil {
		return nil, fsx.Explain("reading", r.Model, err)
	}
	path := filepath.Join(dir, "engine")
	if err := f.write(ctx, path, model, p); err != nil {
		return nil, err
	}
	m := engine.NewManifest(r, f.Revision(), "")
	m.Achieved, m.File, m.Layers = engine.FP32, filepath.Base(path), map[string]int{"gemm fp32": 1}
	m.Measured.BuildMS = 1
	return m, m.Weigh(dir)
}

// write writes b in pieces and takes the fake's time.
func (f Fake) write(ctx context.Context, path string, b []byte, p progress.Counter) (err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fsx.Explain("writing", path, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	p.SetMax(pieces)
	for i := range pieces {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(f.Delay / pieces):
		}
		if _, err := out.Write(b[len(b)*i/pieces : len(b)*(i+1)/pieces]); err != nil {
			return fsx.Explain("writing", path, err)
		}
		p.Set(int64(i + 1))
	}
	return nil
}
