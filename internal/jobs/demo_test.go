//go:build cgo

package jobs

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// TestDemoModelAgreesWithPyTorch holds the demo model, exported and run by ONNX
// Runtime in FP32, against the reference that PyTorch recorded: perplexity
// within 0.01 %, in prefill and in cached decode alike.
func TestDemoModelAgreesWithPyTorch(t *testing.T) {
	c := client(t)
	demo := filepath.Join(testenv.Root(t), "examples", "demo")
	text := testenv.DemoText(t, "evaluate")
	bundle, err := validate.Read(filepath.Join(demo, "reference"))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := bpe.Load(filepath.Join(demo, "model"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := export.Write(filepath.Join(demo, "model"), dir); err != nil {
		t.Fatal(err)
	}
	m, err := contractOf(filepath.Join(dir, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range []string{Prefill, Decode} {
		r := ScoreRequest{Model: m, IDs: ids, Convention: bundle.Convention, Bundle: filepath.Join(demo, "reference"), Phase: phase, Batch: 8}
		s, err := Score(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		all, err := validate.Compare(s, validate.Options{Engine: "ortcpu-fp32"})
		if err != nil {
			t.Fatal(err)
		}
		ratio, _ := rows.Find(all, "ortcpu-fp32", "", phase, validate.PPLRatio)
		kl, _ := rows.Find(all, "ortcpu-fp32", "", phase, validate.KLName(bundle.TopK, "mean"))
		if math.Abs(ratio.Value-1) > 1e-4 || math.Abs(kl.Value) > 1e-6 {
			t.Errorf("%s: perplexity is PyTorch's times %.8f, KL %g", phase, ratio.Value, kl.Value)
		}
		t.Logf("%s: perplexity × %.9f, KL %g", phase, ratio.Value, kl.Value)
	}
}

// contractOf describes a graph in a file.
func contractOf(path string) (Model, error) {
	g, err := onnx.Load(path)
	if err != nil {
		return Model{}, err
	}
	defer func() { _ = g.Close() }()
	c, err := contract.Infer(g)
	return Model{Path: path, Contract: c}, err
}
