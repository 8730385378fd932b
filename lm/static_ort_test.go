//go:build cgo

package lm_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// On the demo model and real text a static cache gives the logits of the one
// that concatenates, to the end of its buffer, and the same tokens.
func TestStaticEqualsConcatOnTheDemoModel(t *testing.T) {
	loadORT(t)
	model := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	tokenizer, err := bpe.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(testenv.DemoText(t, "evaluate"))[:2000])
	if err != nil {
		t.Fatal(err)
	}
	var prompts [][]int64
	for b, n := range []int{40, 23, 1} {
		row := []int64{}
		for _, id := range ids[50*b : 50*b+n] {
			row = append(row, int64(id))
		}
		prompts = append(prompts, row)
	}
	const capacity = 128 // 48 columns of prefill in its bucket, and 80 steps
	static, concat := export.Options{Logits: export.Last, Cache: export.Static, Capacity: capacity}, export.Options{Logits: export.Last}
	dir := t.TempDir()
	if err := export.WriteVariants(model, dir, concat, static); err != nil {
		t.Fatal(err)
	}
	o := lm.Options{Batch: len(prompts), Capacity: capacity}
	want := generate(t, filepath.Join(dir, concat.File()), o, prompts, 80)
	o.Buckets = []int{16, 48}
	got := generate(t, filepath.Join(dir, static.File()), o, prompts, 80)
	if !slices.Equal(got.tokens, want.tokens) {
		t.Errorf("tokens differ:\n%v\n%v", got.tokens, want.tokens)
	}
	worst := 0.0
	for i := range want.logits {
		worst = math.Max(worst, math.Abs(float64(got.logits[i]-want.logits[i])))
	}
	t.Logf("%d tokens, logits differ by %g at most", len(want.tokens), worst)
	if !(worst <= 1e-4) || len(got.logits) != len(want.logits) {
		t.Errorf("logits differ by %g", worst)
	}
}

// generated is what a greedy run gave: the logits and the token after each pass.
type generated struct {
	logits []float32
	tokens []int64
}

// generate runs a prefill and steps that fill the decoder.
func generate(t *testing.T, path string, o lm.Options, prompts [][]int64, steps int) (g generated) {
	t.Helper()
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.Open(path, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	d, err := lm.NewDecoder(s, c, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	next := make([]int64, o.Batch)
	l, err := d.Prefill(prompts)
	for i := 0; ; i++ {
		if err != nil || !l.Greedy(next) {
			t.Fatal("the run failed:", err)
		}
		g.logits, g.tokens = append(g.logits, l.Data...), append(g.tokens, next...)
		if i == steps {
			return g
		}
		l, err = d.Step(next)
	}
}
