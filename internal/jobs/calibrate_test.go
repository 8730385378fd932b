//go:build cgo

package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// inputs are of two matrix products.
var inputs = []string{"/h.0/ln_1/LayerNormalization_output_0", "/h.1/mlp/Gelu_output_0"}

// request is a calibration of m on text of n tokens.
func request(t *testing.T, m *onnx.Model, n int, o calib.PlanOptions) CalibrateRequest {
	t.Helper()
	cut, err := calib.Cut(m, inputs)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := calib.NewPlan(n, o)
	if err != nil {
		t.Fatal(err)
	}
	r := CalibrateRequest{Job: calib.Job{IDs: wide(text(n)), Plan: plan, Observe: inputs}}
	r.Path = filepath.Join(t.TempDir(), "cut.onnx")
	if r.Contract, err = contract.Infer(m); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Save(cut, r.Path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCalibrateInPlace runs prefills on a graph that refers to the model's weights
// and answers no cache: what is observed is that of a copy with one.
func TestCalibrateInPlace(t *testing.T) {
	c, dir := client(t), t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 97, Positions: 64, Std: 0.2}, 1); err != nil {
		t.Fatal(err)
	}
	if err := export.Write(dir, filepath.Join(dir, "graph")); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(filepath.Join(dir, "graph", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	r := request(t, m, 97, calib.PlanOptions{Samples: 4, Prefill: []int{8, 16}, Batch: 2})
	want, err := Calibrate(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := calib.CutPrefill(m, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(cut.Graph().GetOutput()); n != len(inputs) {
		t.Errorf("%d outputs, want %d", n, len(inputs))
	}
	r.Path = filepath.Join(t.TempDir(), "in-place.onnx")
	if r.Weights, err = onnx.Refer(cut, r.Path); err != nil || r.Weights == "" {
		t.Fatalf("weights in %q, %v", r.Weights, err)
	}
	got, err := Calibrate(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Error("a graph that refers to its weights observes something else")
	}
}

// TestCalibrateNamesTheFirstBadNode damages the model in several places; the
// node that is named is the first whose output is not finite, however far from
// the tensor that is observed.
func TestCalibrateNamesTheFirstBadNode(t *testing.T) {
	c := client(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, damage := range map[string]struct {
		weight string
		at     int
		value  float32
		node   string
	}{
		"bias":      {"transformer.h.0.mlp.c_fc.bias", 5, nan, "/h.0/mlp/c_fc"},
		"gain":      {"transformer.h.1.ln_1.weight", 31, inf, "/h.1/ln_1/"},
		"embedding": {"transformer.wpe.weight", 9 * int(shape.Width), nan, "/wpe"}, // position 9 occurs in decode only
		"overflow":  {"transformer.h.0.mlp.c_fc.weight", 0, math.MaxFloat32, "/h.0/mlp/c_fc/MatMul"},
	} {
		m := gpt2(t, export.All)
		w := m.Weight(damage.weight)
		if w == nil {
			t.Fatalf("%s: no weight %s", name, damage.weight)
		}
		values, err := w.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		values[damage.at] = damage.value
		m.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
		r := request(t, m, 200, calib.PlanOptions{Samples: 6, Prefill: []int{8}, Decode: 3, Seed: 1})
		_, err = Calibrate(t.Context(), c, r, progress.Noop)
		if fault.Exit(err) != 4 || !strings.Contains(err.Error(), "node "+damage.node) {
			t.Errorf("%s: %v, want an input error that names node %s", name, err, damage.node)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(r.Path), ".tmp*")); left != nil {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

// TestBatchAndRepetition: the same job gives the same bytes, and how many windows
// are run together changes the ranges by float noise only.
func TestBatchAndRepetition(t *testing.T) {
	c := client(t)
	m := gpt2(t, export.All)
	var first *calib.Observations
	for _, batch := range []int{4, 4, 1, 16} {
		r := request(t, m, 800, calib.PlanOptions{Samples: 40, Prefill: []int{8, 4}, Decode: 4, Seed: 1, Batch: batch})
		o, err := Calibrate(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = o
			continue
		}
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(o)
		if batch == 4 && string(a) != string(b) {
			t.Error("the same job observed something else")
		}
		for name, x := range o.Tensors {
			y := first.Tensors[name]
			if x.Count != y.Count || math.Abs(float64(x.Amax()/y.Amax()-1)) > 1e-5 || math.Abs(x.Kurtosis()/y.Kurtosis()-1) > 1e-5 {
				t.Errorf("batch %d: %s has amax %v and kurtosis %v, in batches of 4 %v and %v", batch, name, x.Amax(), x.Kurtosis(), y.Amax(), y.Kurtosis())
			}
		}
	}
}

// TestKilledCalibrationGoesOn kills the child in the middle, twice, and wants the
// bytes of a calibration that nobody disturbed.
func TestKilledCalibrationGoesOn(t *testing.T) {
	r := request(t, gpt2(t, export.All), 6000, calib.PlanOptions{Samples: 400, Prefill: []int{8, 4}, Decode: 5, Seed: 1, Batch: 2})
	r.Threads = 1
	whole, err := Calibrate(t.Context(), client(t), r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	r.Checkpoint, r.Every = filepath.Join(t.TempDir(), "observations.json"), time.Millisecond
	goneOn := 0
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		one := &ort.Client{Library: testenv.ORT(t), Log: t.Output()}
		if _, err := Calibrate(ctx, one, r, killer{r.Checkpoint, cancel}); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
		_ = one.Close()
		kept, err := calib.ReadObservationsFile(r.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if kept.Done <= goneOn || kept.Whole() {
			t.Fatalf("%d of %d batches are kept, %d before", kept.Done, kept.Batches, goneOn)
		}
		goneOn = kept.Done
	}
	rest, err := Calibrate(t.Context(), client(t), r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(whole)
	b, _ := json.Marshal(rest)
	if string(a) != string(b) {
		t.Error("the calibration that went on observed something else")
	}
	r.Job.Observe = slices.Clone(inputs[:1])
	if _, err := Calibrate(t.Context(), client(t), r, progress.Noop); fault.Exit(err) != 2 {
		t.Errorf("observations of another job are gone on from: %v", err)
	}
	if err := os.WriteFile(r.Checkpoint, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Calibrate(t.Context(), client(t), r, progress.Noop); fault.Exit(err) != 4 {
		t.Errorf("a torn file: %v", err)
	}
}

// killer cancels when a new checkpoint is there.
type killer struct {
	path   string
	cancel func()
}

func (k killer) SetMax(int64) {}
func (k killer) Set(n int64) {
	begun := time.Now()
	info, err := os.Stat(k.path)
	for n < 300 && time.Since(begun) < 5*time.Second { // wait for the next one
		again, err2 := os.Stat(k.path)
		if err2 == nil && (errors.Is(err, fs.ErrNotExist) || !again.ModTime().Equal(info.ModTime())) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	k.cancel()
}
func (k killer) Note(string)                 {}
func (k killer) Sub(string) progress.Counter { return k }
