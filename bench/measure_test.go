package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// fakeSession answers token 3 to everything, as slowly as its clock says.
type fakeSession struct {
	clock *fakeClock
	runs  []string // batch x columns after the past, of each run
	value float32  // of the logit that is chosen
	fail  error
	quiet bool // remembers no runs
}

func (f *fakeSession) Close() error                                       { return nil }
func (f *fakeSession) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) { return nil, nil }

func (f *fakeSession) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	b := &fakeBound{f: f}
	for _, t := range in {
		switch t.Name {
		case "ids":
			b.shape = fmt.Sprintf("%dx%d", t.Dims[0], t.Dims[1])
		case "past.k":
			b.shape += fmt.Sprintf("@%d", t.Dims[2])
		}
	}
	b.logits = out[0]
	return b, nil
}

type fakeBound struct {
	f      *fakeSession
	shape  string
	logits onnx.Tensor
}

func (b *fakeBound) Close() error { return nil }

func (b *fakeBound) Run() error {
	if !b.f.quiet {
		b.f.runs = append(b.f.runs, b.shape)
	}
	b.f.clock.now += b.f.clock.run
	for i := range len(b.logits.Bytes) / 4 {
		v := float32(0)
		if i%5 == 3 {
			v = b.f.value
		}
		binary.LittleEndian.PutUint32(b.logits.Bytes[4*i:], math.Float32bits(v))
	}
	return b.f.fail
}

// fakeClock takes one step each time that it is read.
type fakeClock struct {
	now, step, run time.Duration // run: what an engine's run takes
	reads, turns   int           // after turns reads, if any, it runs back by a second
}

func (c *fakeClock) read() time.Duration {
	c.now += c.step
	if c.reads++; c.turns > 0 && c.reads > c.turns {
		c.now -= time.Second
		c.turns = 0
	}
	return c.now
}

func fakeContract() *contract.Contract {
	dims := func(roles ...contract.Role) (all []contract.Dim) {
		for _, r := range roles {
			all = append(all, contract.Dim{Role: r})
		}
		return all
	}
	static := contract.Dim{Role: contract.Static, Size: 1}
	cache := func(length contract.Role) []contract.Dim {
		return []contract.Dim{{Role: contract.Batch}, static, {Role: length}, static}
	}
	return &contract.Contract{Layers: 1, Heads: 1, HeadDim: 1, Vocab: 5, Logits: "all",
		Inputs: []contract.Tensor{
			{Name: "ids", Kind: contract.KindIDs, Type: "int64", Dims: dims(contract.Batch, contract.Seq)},
			{Name: "mask", Kind: contract.KindMask, Type: "int64", Dims: dims(contract.Batch, contract.Total)},
			{Name: "past.k", Kind: contract.KindPastKey, Type: "float", Dims: cache(contract.Past)},
			{Name: "past.v", Kind: contract.KindPastValue, Type: "float", Dims: cache(contract.Past)},
		},
		Outputs: []contract.Tensor{
			{Name: "logits", Kind: contract.KindLogits, Type: "float", Dims: append(dims(contract.Batch, contract.Seq), contract.Dim{Role: contract.Static, Size: 5})},
			{Name: "present.k", Kind: contract.KindPresentKey, Type: "float", Dims: cache(contract.Total)},
			{Name: "present.v", Kind: contract.KindPresentValue, Type: "float", Dims: cache(contract.Total)},
		}}
}

func scenario(batch, prompt, fresh int) Case {
	return Case{Scenario: profiles.Scenario{Name: "s", Batch: batch, PromptTokens: prompt, NewTokens: fresh}}
}

func timer(t *testing.T, f *fakeSession, c Case) *Timer {
	t.Helper()
	if f.clock == nil {
		f.clock = &fakeClock{step: time.Millisecond, run: 10 * time.Millisecond}
	}
	if f.value == 0 {
		f.value = 1
	}
	got, err := NewTimer(f, fakeContract(), c, nil, 1, f.clock.read)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The modes differ in what is run, and in nothing else.
func TestModes(t *testing.T) {
	uncached, chunked, deep, ragged := scenario(2, 7, 3), scenario(2, 7, 3), scenario(2, 7, 3), scenario(3, 7, 2)
	uncached.Mode = Uncached
	chunked.Mode, chunked.Chunk = Chunked, 3
	deep.Depth = 4
	ragged.Ragged = true
	for name, c := range map[string]struct {
		of      Case
		want    string
		prefill int // runs before the first token
	}{
		"cached":   {scenario(2, 7, 3), "2x7@0 2x1@7 2x1@8", 1},
		"uncached": {uncached, "2x7@0 2x8@0 2x9@0", 1},
		"chunked":  {chunked, "2x3@0 2x3@3 2x1@6 2x1@7 2x1@8", 3},
		"deep":     {deep, "2x4@0 2x7@4 2x1@11 2x1@12", 1},
		"ragged":   {ragged, "3x7@0 3x1@7", 1},
	} {
		f := &fakeSession{}
		s := timer(t, f, c.of).Measure()
		if got := strings.Join(f.runs, " "); got != c.want || s.Failure != nil {
			t.Errorf("%s runs %s, want %s; failure %v", name, got, c.want, s.Failure)
		}
		// A run takes 10 ms and two readings of the clock, each 1 ms; a token one more.
		prefill := float64(c.prefill) * 12
		if s.TTFT != prefill+1 || len(s.Gaps) != c.of.NewTokens-1 || s.Gaps[0] != 13 || s.E2E != s.TTFT+13*float64(len(s.Gaps)) {
			t.Errorf("%s: %+v", name, s)
		}
		if want := float64(c.prefill+len(s.Gaps)) * 11; s.Run != want {
			t.Errorf("%s: %g ms inside the runs, want %g", name, s.Run, want)
		}
	}
}

func TestRaggedRows(t *testing.T) {
	c := scenario(3, 9, 2)
	c.Ragged = true
	s := timer(t, &fakeSession{}, c).Measure()
	if fmt.Sprint(s.Lengths) != "[9 7 5]" || s.Prompt() != 21 {
		t.Errorf("rows of %v tokens, %d together", s.Lengths, s.Prompt())
	}
	c.Mode, c.Chunk = Chunked, 2
	if s := timer(t, &fakeSession{}, c).Measure(); s.Failure != nil || fmt.Sprint(s.Lengths) != "[9 9 8]" {
		t.Errorf("in chunks: %v, %v", s.Lengths, s.Failure)
	}
}

func TestMeasureFails(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for want, f := range map[Class]*fakeSession{
		NonFinite: {value: nan},
		Memory:    {fail: errors.New("std::bad_alloc")},
		Backwards: {clock: &fakeClock{step: time.Millisecond, turns: 5}},
	} {
		if s := timer(t, f, scenario(1, 4, 3)).Measure(); s.Failure == nil || s.Failure.Class != want {
			t.Errorf("want a failure of class %s, got %+v", want, s)
		}
	}
	if s := timer(t, &fakeSession{clock: &fakeClock{}}, scenario(1, 4, 3)).Measure(); s.Failure == nil || s.Failure.Class != Backwards {
		t.Errorf("the clock stands still: %+v", s)
	}
	if s := timer(t, &fakeSession{value: inf}, scenario(1, 4, 3)).Measure(); s.Failure == nil || s.Failure.Class != NonFinite {
		t.Errorf("an infinite logit is chosen: %+v", s)
	}
}

func TestCasesThatCannotBe(t *testing.T) {
	none, chunks, strange, deep := scenario(1, 4, 0), scenario(1, 4, 1), scenario(1, 4, 1), scenario(1, 4, 1)
	chunks.Chunk = 2
	strange.Mode = "warp"
	deep.Mode, deep.Depth = Uncached, 3
	for _, c := range []Case{none, chunks, strange, deep} {
		if _, err := NewTimer(&fakeSession{}, fakeContract(), c, nil, 1, Wall()); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestWarm(t *testing.T) {
	steady := timer(t, &fakeSession{}, scenario(1, 4, 3))
	if n, ok, f := steady.Warm(Warmup{}); n != 3 || !ok || f != nil {
		t.Errorf("steady requests: %d, %v, %v", n, ok, f)
	}
	five, none := 5, 0
	if n, ok, _ := steady.Warm(Warmup{Exactly: &five}); n != 5 || !ok {
		t.Errorf("exactly five: %d, %v", n, ok)
	}
	if n, ok, _ := steady.Warm(Warmup{Exactly: &none}); n != 0 || !ok {
		t.Errorf("exactly none: %d, %v", n, ok)
	}
	if n, ok, _ := steady.Warm(Warmup{Steady: map[string]float64{"s": 39}}); n != 1 || !ok {
		t.Errorf("a known level: %d, %v", n, ok)
	}
	slower := &fakeSession{clock: &fakeClock{step: time.Millisecond}}
	grows := timer(t, slower, scenario(1, 4, 3))
	grows.clock = func() time.Duration { slower.clock.step += 2 * time.Millisecond; return slower.clock.read() }
	if n, ok, _ := grows.Warm(Warmup{Max: 12}); ok && n < 12 {
		t.Errorf("requests that become slower were steady after %d", n)
	}
	if n, _, _ := grows.Warm(Warmup{Max: 1000, MaxMS: 1}); n > 3 {
		t.Errorf("%d requests in a millisecond", n)
	}
}

// The timed loop allocates nothing in any mode.
func TestTimedLoopAllocatesNothing(t *testing.T) {
	uncached, chunked := scenario(2, 8, 20), scenario(2, 8, 20)
	uncached.Mode = Uncached
	chunked.Mode, chunked.Chunk = Chunked, 3
	for _, c := range []Case{scenario(2, 8, 20), uncached, chunked} {
		timer := timer(t, &fakeSession{quiet: true}, c)
		if n := testing.AllocsPerRun(20, func() {
			if _, err := timer.loop(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations in a request of 20 tokens", c.Key(), n)
		}
	}
}
