package rtx

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	quanthalf "github.com/trtforge/trtforge/quant/half"
)

// nvidia is a builder whose worker is started once, at the first build, and
// ends with the test. Its worker is there for tests that harm it.
type nvidia struct {
	*Builder
	mu     sync.Mutex
	worker *child.Child
}

func builder(t *testing.T) *nvidia {
	t.Helper()
	python := testenv.Python(t, "rtx")
	n := &nvidia{}
	start := func(ctx context.Context) (Worker, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.worker != nil {
			return n.worker, nil
		}
		c, err := worker.Start(ctx, worker.RTX, worker.Options{Python: python, Cache: t.TempDir()})
		if err != nil {
			return nil, err
		}
		n.worker = c
		return c, nil
	}
	t.Cleanup(func() {
		if n.worker != nil {
			_ = n.worker.Close() // tests of its death have it end otherwise
		}
	})
	lock, err := runtimes.LockOf("rtx")
	if err != nil {
		t.Fatal(err)
	}
	n.Builder = &Builder{Start: start, Version: lock.Versions["tensorrt-rtx-cu12-bindings"], CreatedBy: "test"}
	return n
}

// decoder is a random GPT-2, large enough that NVIDIA's builder has products to
// choose kernels for.
func decoder(t *testing.T) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 128, Heads: 4, Vocab: 256, Positions: 64}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func half(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	m, _, err := quanthalf.Convert(m, quanthalf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func integer(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	return quantize(t, m, quant.Policy{})
}

// asked saves the model and asks for an engine of it with a profile for
// prefill and one for decode.
func asked(t *testing.T, m *onnx.Model, p engine.Precision) engine.Request {
	t.Helper()
	r := engine.Request{Name: "test-" + string(p), Backend: "rtx", Precision: p, Model: filepath.Join(t.TempDir(), "model.onnx")}
	if err := onnx.Save(m, r.Model, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.ModelDigest, err = m.Digest(); err != nil {
		t.Fatal(err)
	}
	if r.Contract, err = contract.Infer(m); err != nil {
		t.Fatal(err)
	}
	w := profiles.Workload{Scenarios: []profiles.Scenario{
		{Name: "one", Batch: 1, PromptTokens: 8, NewTokens: 8}, {Name: "four", Batch: 4, PromptTokens: 24, NewTokens: 8},
	}}
	if r.Plan, err = profiles.Derive(r.Contract, w, profiles.Options{Strategy: "phase"}); err != nil {
		t.Fatal(err)
	}
	return r
}
