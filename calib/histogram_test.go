package calib

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// streams are values as activations have them: in pieces, some with a range
// that grows late, one-sided, constant, all zero, subnormal.
func streams() map[string][][]float32 {
	r := rand.New(rand.NewPCG(1, 2))
	normal := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64() * scale)
		}
		return v
	}
	positive := normal(5000, 1)
	for i, v := range positive {
		positive[i] = max(v, 0)
	}
	return map[string][][]float32{
		"normal":    {normal(3000, 1), normal(3000, 1), normal(17, 1)},
		"growing":   {normal(1000, 1e-6), normal(1000, 1), normal(1000, 3e5)},
		"relu":      {positive},
		"outlier":   {normal(4000, 1), {-977.5}},
		"constant":  {{2.5, 2.5}, {2.5}},
		"powers":    {{1, 2, 4, 8}, {0.5, -8, 16}},
		"zero":      {{0, 0}, {0}},
		"late":      {{0, 0, 0}, normal(100, 1)},
		"subnormal": {{1e-44, -3e-42, 2e-40}},
		"extreme":   {{math.MaxFloat32, -1, 1e-30}},
	}
}

func fill(t *testing.T, pieces [][]float32) *Histogram {
	t.Helper()
	h := &Histogram{}
	for _, p := range pieces {
		if err := h.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// TestQuantilesAreNumpys compares with numpy on the raw values: absmax and the
// extremes exactly, percentiles within one bin.
func TestQuantilesAreNumpys(t *testing.T) {
	python := testenv.Python(t, "oracle")
	dir := t.TempDir()
	percents := []float64{50, 90, 99, 99.9, 99.99, 100}
	all := streams()
	for name, pieces := range all {
		var raw []byte
		for _, p := range pieces {
			for _, v := range p {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name+".f32"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-c", `
import glob, json, os, sys, numpy as np
out = {}
for path in glob.glob(os.path.join(sys.argv[1], "*.f32")):
    v = np.fromfile(path, np.float32)
    a = np.sort(np.abs(v).astype(np.float64))
    out[os.path.basename(path)[:-4]] = dict(lo=float(v.min()), hi=float(v.max()), amax=float(np.abs(v).max()),
        below=[np.percentile(a, p, method="lower") for p in json.loads(sys.argv[2])],
        above=[np.percentile(a, p, method="higher") for p in json.loads(sys.argv[2])])
print(json.dumps(out))`, dir, "[50, 90, 99, 99.9, 99.99, 100]")
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Lo, Hi, Amax float64
		Below, Above []float64
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(all) {
		t.Fatalf("numpy answered for %d streams of %d", len(want), len(all))
	}
	for name, pieces := range all {
		h, w := fill(t, pieces), want[name]
		if float64(h.Min) != w.Lo || float64(h.Max) != w.Hi || float64(h.Amax()) != w.Amax {
			t.Errorf("%s: extremes %v %v %v, numpy %v %v %v", name, h.Min, h.Max, h.Amax(), w.Lo, w.Hi, w.Amax)
		}
		bin := 0.0
		if h.Counts != nil {
			bin = math.Ldexp(1, h.Exp) / Bins
		}
		for i, p := range percents {
			// numpy interpolates between two neighbours of the sorted values; any
			// value between them is the percentile by some definition.
			if got := float64(h.Quantile(p / 100)); got < w.Below[i]-bin || got > w.Above[i]+bin {
				t.Errorf("%s: percentile %v is %v, numpy %v to %v, bin %v", name, p, got, w.Below[i], w.Above[i], bin)
			}
		}
	}
}

// TestRangeGrowsWithoutLoss: the order of the pieces does not change a count,
// and merging histograms is the same as one histogram of everything.
func TestRangeGrowsWithoutLoss(t *testing.T) {
	for name, pieces := range streams() {
		forward := fill(t, pieces)
		backward, merged := &Histogram{}, &Histogram{}
		for i := len(pieces) - 1; i >= 0; i-- {
			if err := backward.Add(pieces[i]); err != nil {
				t.Fatal(err)
			}
			merged.Merge(fill(t, pieces[i:i+1]))
		}
		if d := cmp.Diff(forward, backward); d != "" {
			t.Errorf("%s: another order counts differently:\n%s", name, d)
		}
		if d := cmp.Diff(forward, merged); d != "" {
			t.Errorf("%s: merging counts differently:\n%s", name, d)
		}
		total := forward.Zeros
		for _, n := range forward.Counts {
			total += n
		}
		if total != forward.Count {
			t.Errorf("%s: the bins hold %d of %d values", name, total, forward.Count)
		}
	}
}

func TestNotFiniteNamesTheTensor(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		c := NewObservations([]string{"h.3/ln_1"})
		w := onnx.Floats("h.3/ln_1", []int64{3}, 1, bad, 2)
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		err = c.Observe([]onnx.Tensor{{Name: w.Name, Type: onnx.Float32, Dims: w.Dims, Bytes: b}})
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "h.3/ln_1") {
			t.Errorf("%v: %v, want an input error that names the tensor", bad, err)
		}
	}
}

func TestMethods(t *testing.T) {
	h := fill(t, [][]float32{make([]float32, 10000), {3, -4}})
	for text, want := range map[string]float32{"absmax": 4, "percentile:100": 4, "percentile:50": 4, "percentile:99.9": 4} {
		m, err := ParseMethod(text)
		if err != nil {
			t.Fatal(err)
		}
		// Nearly all values are zero, so the median magnitude is; a scale of
		// zero would be of no use.
		if got, err := m.Amax(h); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseMethod(m.String()); err != nil || again != m {
			t.Errorf("%s does not survive %q: %v", text, m, err)
		}
	}
	for _, bad := range []string{"", "entropy2", "absmax:3", "percentile:0", "percentile:101", "percentile:x", "percentile:NaN"} {
		if _, err := ParseMethod(bad); fault.Classify(err) != fault.Usage {
			t.Errorf("%q: %v, want a usage error", bad, err)
		}
	}
}
