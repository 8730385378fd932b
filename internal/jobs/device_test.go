//go:build cgo

package jobs

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
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

// TestSamplesSayWhereTheCacheLay times and scores over memory of a device, which here
// is the CPU's: what stands between the decoder and its session must not hide that it
// can place, and a static cache is known to stay on the host.
func TestSamplesSayWhereTheCacheLay(t *testing.T) {
	if err := ort.Init(testenv.ORT(t)); err != nil {
		t.Fatal(err)
	}
	c := bench.Case{Scenario: profiles.Scenario{Name: "a", Batch: 2, PromptTokens: 5, NewTokens: 4}}
	gpu := &ort.Provider{Name: ort.TensorRT}
	for name, of := range map[string]struct {
		o      export.Options
		device string
		host   bool
	}{"host": {export.Options{Logits: export.All}, "", true}, "device": {export.Options{Logits: export.All}, "Cpu", false}, "static": {static, "Cpu", true}} {
		m := saved(t, exported(t, of.o))
		s, err := ort.Open(m.Path, ort.Options{Device: of.device})
		if err != nil {
			t.Fatal(err)
		}
		r := BenchRequest{Model: m, Repetitions: 1, Text: text(40)}
		r.Provider = gpu
		samples, _ := r.run(s, c, nil)
		if len(samples) != 1 || samples[0].Failure != nil || slices.Contains(samples[0].Warnings, bench.KVHost) != of.host {
			t.Errorf("%s: %+v", name, samples)
		}
		r.Provider = nil
		if samples, _ = r.run(s, c, nil); slices.Contains(samples[0].Warnings, bench.KVHost) {
			t.Errorf("%s: the CPU's samples say %v", name, samples[0].Warnings)
		}
		session := &timed{Around: lm.Around{Session: s}}
		d, err := lm.NewDecoder(session, m.Contract, lm.Options{Batch: 1, Capacity: 8})
		if err != nil {
			t.Fatal(err)
		}
		if d.CacheOnHost() != of.host {
			t.Errorf("%s: scoring has the cache on the host: %v", name, !of.host)
		}
		if err := errors.Join(d.Close(), s.Close()); err != nil {
			t.Error(err)
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
