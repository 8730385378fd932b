package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/profiles"
)

func TestCompare(t *testing.T) {
	profile := func(most int64) profiles.Profile {
		return profiles.Profile{Name: "decode", Inputs: []profiles.Range{{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{most, 1}}}}
	}
	a := &Manifest{Backend: "rtx", Precision: FP16, Achieved: FP16, Builder: "b 1", Bytes: 100, Layers: map[string]int{"gemm Half": 8, "kgen Half": 3},
		Profiles: []profiles.Profile{profile(4)}, Measured: Measured{BuildMS: 10}, Memory: &Memory{WeightsBytes: 7, Profiles: []ProfileMemory{{Profile: "decode", ActivationBytes: 5}}}}
	if c := Compare(a, a); !c.Same() || len(c.Figures) != 4 {
		t.Errorf("with itself: %+v", c)
	}
	b := *a
	b.Precision, b.Achieved, b.Bytes, b.Memory = INT8, INT8, 60, nil
	b.Layers = map[string]int{"gemm Int8": 8, "kgen Half": 4}
	b.Profiles = []profiles.Profile{profile(8)}
	c := Compare(a, &b)
	want := Comparison{
		Facts:  []Changed{{"precision", "fp16", "int8"}, {"achieved", "fp16", "int8"}},
		Layers: []Counted{{"gemm Half", 8, 0}, {"gemm Int8", 0, 8}, {"kgen Half", 3, 4}},
		Profiles: profiles.Diff{Pairs: []profiles.Pair{{Changes: []profiles.Change{
			{What: "max", Inputs: []string{"input_ids"}, Dim: 0, From: 4, To: 8},
		}}}},
		Figures: []Figure{{"engine", "bytes", 100, 60}, {"build", "ms", 10, 10}},
	}
	if d := cmp.Diff(want, c); d != "" || c.Same() {
		t.Error(d)
	}
}
