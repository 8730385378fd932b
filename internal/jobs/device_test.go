//go:build cgo

package jobs

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

func TestStepsAreToldFromPrefills(t *testing.T) {
	dim := func(roles ...contract.Role) (all []contract.Dim) {
		for _, r := range roles {
			all = append(all, contract.Dim{Role: r})
		}
		return all
	}
	growing := &contract.Contract{Inputs: []contract.Tensor{
		{Name: "ids", Kind: contract.KindIDs, Dims: dim(contract.Batch, contract.Seq)},
		{Name: "key", Kind: contract.KindPastKey, Dims: dim(contract.Batch, contract.Static, contract.Past, contract.Static)},
	}}
	static := &contract.Contract{Inputs: growing.Inputs[:1]}
	for _, c := range []struct {
		c         *contract.Contract
		seq, past int64
		want      bool
	}{
		{growing, 1, 7, true}, {growing, 1, 0, false}, {growing, 5, 0, false}, {growing, 5, 7, false},
		{static, 1, 0, true}, {static, 5, 0, false},
	} {
		is, err := steps(c.c)
		if err != nil {
			t.Fatal(err)
		}
		in := []onnx.Tensor{{Name: "ids", Dims: []int64{2, c.seq}}, {Name: "key", Dims: []int64{2, 4, c.past, 8}}}
		if got := is(in); got != c.want {
			t.Errorf("%d columns after %d: %v", c.seq, c.past, got)
		}
	}
	for _, c := range []*contract.Contract{nil, {}} {
		if _, err := steps(c); err == nil {
			t.Error("a contract without ids tells steps")
		}
	}
}

func TestSamplesSayWhereTheCacheLay(t *testing.T) {
	gpu := &ort.Provider{Name: ort.TensorRT}
	for _, c := range []struct {
		m    Model
		want bool
	}{{Model{}, false}, {Model{Provider: gpu}, true}, {Model{Provider: gpu, KV: KVHost}, true}, {Model{Provider: gpu, KV: KVDevice}, false}} {
		if got := slices.Contains(c.m.warnings(), bench.KVHost); got != c.want {
			t.Errorf("%+v: %v", c.m, got)
		}
	}
}

// TestTwoEnginesForTwoPhases scores by decode steps with another engine for them: the
// same graph there changes nothing, and one with other weights everything but what
// the prefill gives.
func TestTwoEnginesForTwoPhases(t *testing.T) {
	c := client(t)
	m := saved(t, gpt2(t, export.All))
	score := func(m Model) []float64 {
		s, err := Score(t.Context(), c, ScoreRequest{
			Model: m, IDs: text(16), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 16}, Phase: Decode, Prompt: 4,
		}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		return s.NLL.Positions // of one window
	}
	whole := score(m)
	split := m
	split.Steps = m.Path
	if d := cmp.Diff(whole, score(split)); d != "" {
		t.Error(d)
	}
	dir := t.TempDir()
	if err := export.Random(dir, shape, 8); err != nil {
		t.Fatal(err)
	}
	other, err := export.GPT2(dir, export.Options{Logits: export.All})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	split.Steps = saved(t, other).Path
	for i, got := range score(split) {
		if same := got == whole[i]; same != (i < 4) {
			t.Errorf("token %d scores %g with two engines, %g with one", i, got, whole[i])
		}
	}
}
