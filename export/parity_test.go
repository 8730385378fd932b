package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// tolerance is the largest difference that design.md allows between a logit and
// transformers' in float32.
const tolerance = 1e-4

// shapes are n configurations that between them have every option. Weights
// grow as 1/sqrt(width), so that attention is peaked and a wrong scale or mask
// shows.
func shapes(n int) []Shape {
	r := rand.New(rand.NewPCG(3, 0))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var all []Shape
	for i := range n {
		heads := 1 + r.Int64N(6)
		width := heads * (4 + 4*r.Int64N(6))
		all = append(all, Shape{
			Layers: 2 + r.Int64N(11), Heads: heads, Width: width, Vocab: 50 + r.Int64N(300), Positions: 11 + r.Int64N(40),
			Inner:        []int64{0, 24, 200}[r.IntN(3)],
			Activation:   []string{"gelu_new", "gelu", "relu", "gelu_pytorch_tanh"}[i%4],
			Epsilon:      []float64{1e-5, 1e-6, 1e-3}[i%3],
			Unscaled:     i%5 == 3,
			ScaleByLayer: i%3 == 1,
			Untied:       i%2 == 1,
			Type:         pick("F32", "F32", "F16", "BF16"),
			Std:          1 / math.Sqrt(float64(width)),
		})
	}
	return all
}

type parity struct {
	Logits, Last, Cache float64
	MaxLogit            float64 `json:"max_logit"`
	Compared            int
	Finite              bool
}

// Graphs run by ONNX Runtime against transformers' FP32 eager attention: batch,
// left padding, past = 0 and past > 0, prefill in pieces and single steps.
func TestParityWithTransformers(t *testing.T) {
	python := testenv.Python(t, "oracle")
	args := []string{filepath.Join("testdata", "parity.py")}
	all := shapes(8)
	for i, s := range all {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := Random(dir, s, uint64(i)); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, dir, All, Last); err != nil {
			t.Fatal(err)
		}
		args = append(args, dir)
	}
	rows := run[parity](t, python, args...)
	if len(rows) != len(all) {
		t.Fatalf("%d results for %d models", len(rows), len(all))
	}
	for i, r := range rows {
		t.Logf("%+v: %+v", all[i], r)
		if worst := max(r.Logits, r.Last, r.Cache); !(worst <= tolerance) || !r.Finite || r.Compared == 0 {
			t.Errorf("model %d (%+v): %+v", i, all[i], r)
		}
	}
}

// NVIDIA's parser takes the graph as it is.
func TestParsedByTensorRT(t *testing.T) {
	python := testenv.Python(t, "rtx")
	args := []string{filepath.Join("testdata", "rtx_parse.py")}
	for _, s := range shapes(4) { // one of each activation
		dir := t.TempDir()
		if err := Random(dir, s, 1); err != nil {
			t.Fatal(err)
		}
		variants := []Options{{Logits: All}, {Logits: Last}, {Logits: Last, Cache: Static}}
		if err := WriteVariants(dir, dir, variants...); err != nil {
			t.Fatal(err)
		}
		for _, v := range variants {
			args = append(args, filepath.Join(dir, v.File()))
		}
	}
	type parsed struct {
		OK     bool
		Errors []string
		Layers int
	}
	rows := run[parsed](t, python, args...)
	if len(rows) != len(args)-1 {
		t.Errorf("%d results for %d files", len(rows), len(args)-1)
	}
	for i, r := range rows {
		if !r.OK || r.Layers == 0 {
			t.Errorf("%s: %+v", args[i+1], r)
		}
	}
}

// run decodes the JSON objects that a script prints.
func run[T any](t *testing.T, python string, args ...string) []T {
	t.Helper()
	c := exec.CommandContext(t.Context(), python, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, stderr.String())
	}
	var rows []T
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var row T
		if err := d.Decode(&row); err != nil {
			t.Fatalf("%s printed %q: %v", args[0], out, err)
		}
		rows = append(rows, row)
	}
	return rows
}
