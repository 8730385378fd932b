//go:build cgo

package lm_test

import (
	"math"
	"path/filepath"
	"sync"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/half"
)

// TestOnONNXRuntime drives real GPT-2 graphs: decode must give what prefill
// gives, padded rows what they give alone, and a prepared run must not allocate.
func TestOnONNXRuntime(t *testing.T) {
	loadORT(t)
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 3, Width: 48, Heads: 4, Vocab: 97, Positions: 40, Std: 0.2}, 11); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]export.Options{"": {}, "static ": {Cache: export.Static, Capacity: 30}} {
		full, err := export.GPT2(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = full.Close() }()
		fp16, _, err := half.Convert(full, half.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name+"fp32", func(t *testing.T) { drive(t, full, 2e-5) })
		t.Run(name+"fp16", func(t *testing.T) { drive(t, fp16, 2e-2) })
	}
}

var once struct {
	sync.Once
	err error
}

// loadORT loads ONNX Runtime, which a process does once.
func loadORT(t *testing.T) {
	t.Helper()
	library := testenv.ORT(t)
	once.Do(func() { once.err = ort.Init(library) })
	if once.err != nil {
		t.Fatal(once.err)
	}
}

func drive(t *testing.T, m *onnx.Model, tolerance float64) {
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"", "Cpu"} { // the second: with the cache where only the graph looks
		s, err := ort.Open(path, ort.Options{Threads: 1, Device: device})
		if err != nil {
			t.Fatal(err)
		}
		decode(t, s, c, tolerance)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func decode(t *testing.T, s *ort.Session, c *contract.Contract, tolerance float64) {
	rows := make([][]int64, 3)
	for b := range rows {
		for i := range 24 - 5*b {
			rows[b] = append(rows[b], int64((i*i*(b+3)+7*i)%97))
		}
	}
	d, err := lm.NewDecoder(s, c, lm.Options{Batch: 3, Capacity: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var heads [][]int64
	for _, r := range rows {
		heads = append(heads, r[:len(r)-10])
	}
	logits, err := d.Prefill(heads)
	if err != nil {
		t.Fatal(err)
	}
	last := make([][][]float32, 3) // per row, the logits of its last 11 positions
	for i := 0; ; i++ {
		for b := range rows {
			last[b] = append(last[b], append([]float32{}, logits.Row(b, -1)...))
		}
		if i == 10 {
			break
		}
		next := make([]int64, 3)
		for b, r := range rows {
			next[b] = r[len(r)-10+i]
		}
		if logits, err = d.Step(next); err != nil {
			t.Fatal(err)
		}
	}
	for b, r := range rows {
		alone(t, s, c, r, last[b], tolerance)
	}
	steady(t, d)
}

// alone holds the logits of a row's last positions, from padded prefill and
// steps, against one prefill of the row by itself.
func alone(t *testing.T, s lm.Session, c *contract.Contract, row []int64, last [][]float32, tolerance float64) {
	t.Helper()
	d, err := lm.NewDecoder(s, c, lm.Options{Batch: 1, Capacity: len(row)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	whole, err := d.Prefill([][]int64{row})
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, got := range last {
		for v, want := range whole.Row(0, len(row)-len(last)+i) {
			worst = math.Max(worst, math.Abs(float64(got[v]-want)))
		}
	}
	if worst > tolerance || worst != worst {
		t.Errorf("a row of %d tokens differs by %g in a padded, stepped run", len(row), worst)
	}
}

// steady holds a prepared run to no allocation.
func steady(t *testing.T, d *lm.Decoder) {
	t.Helper()
	prompt := [][]int64{{1, 2, 3, 4}, {5, 6, 7}, {8}}
	if err := d.Prepare(4, 20); err != nil {
		t.Fatal(err)
	}
	next := make([]int64, 3)
	allocs := testing.AllocsPerRun(3, func() {
		l, err := d.Prefill(prompt)
		for range 19 {
			if err != nil || !l.Greedy(next) {
				t.Fatal("the run failed:", err)
			}
			l, err = d.Step(next)
		}
	})
	if allocs != 0 {
		t.Errorf("%g allocations in a prepared run of 19 steps", allocs)
	}
}
