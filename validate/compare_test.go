package validate

import (
	"math"
	"testing"

	"github.com/trtforge/trtforge/rows"
)

func TestCompare(t *testing.T) {
	s := newSample(t, 200, 64, 0.5)
	score := s.score(t, s.own)
	all, err := Compare(score, Options{Engine: "e", Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	ratio := find(t, all, PPLRatio)
	if want := score.Perplexity() / s.bundle.Perplexity; math.Abs(ratio.Value/want-1) > 1e-6 {
		t.Errorf("ratio %v, want %v", ratio.Value, want)
	}
	for _, r := range all {
		if r.Engine != "e" || r.Phase != "prefill" || r.N != 20 || !(r.Lo <= r.Value && r.Value <= r.Hi) {
			t.Errorf("row %+v", r)
		}
	}
	again, err := Compare(score, Options{Engine: "e", Seed: 7})
	if err != nil || find(t, again, PPLRatio).Lo != ratio.Lo {
		t.Errorf("the same seed draws another interval (%v)", err)
	}
	if ratio.Lo == ratio.Hi || len(ratio.Warnings) == 0 {
		t.Errorf("ratio of four windows: %+v, want an interval and a warning", ratio)
	}
}

// Pairing cancels what windows have in common: an engine whose NLL is the
// reference's times a constant offset has a ratio without spread.
func TestCompareIsPaired(t *testing.T) {
	s := newSample(t, 200, 64, 0)
	score := s.score(t, s.ref)
	for w := range score.NLL.Windows {
		score.NLL.Windows[w] += 0.01 * (sampleLength - 1)
	}
	all, err := Compare(score, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, plain := find(t, all, PPLRatio), find(t, all, Perplexity)
	if math.Abs(r.Value-math.Exp(0.01)) > 1e-6 || r.Hi-r.Lo > 1e-6 {
		t.Errorf("ratio %v in [%v, %v], want %v without spread", r.Value, r.Lo, r.Hi, math.Exp(0.01))
	}
	if plain.Hi-plain.Lo < 1 {
		t.Errorf("perplexity %v in [%v, %v] should vary with the windows", plain.Value, plain.Lo, plain.Hi)
	}
}

func TestCompareOfSomeWindows(t *testing.T) {
	s := newSample(t, 200, 64, 0.5)
	whole := s.score(t, s.own)
	s.windows = s.windows[2:3]
	a, err := NewAccumulator(s.windows, s.bundle.Convention, s.bundle.Tokens, s.bundle, "decode")
	if err != nil {
		t.Fatal(err)
	}
	for pos := range sampleLength - 1 {
		if err := a.Add(Position{0, pos, s.own[2*(sampleLength-1)+pos]}); err != nil {
			t.Fatal(err)
		}
	}
	part, err := a.Score()
	if err != nil {
		t.Fatal(err)
	}
	if part.KL.Windows[0] != whole.KL.Windows[2] || part.NLL.Windows[0] != whole.NLL.Windows[2] || len(part.KL.Windows) != 1 {
		t.Errorf("window 2 scored alone: %g %g, with all: %g %g", part.KL.Windows, part.NLL.Windows, whole.KL.Windows[2], whole.NLL.Windows[2])
	}
	if _, err := Compare(part, Options{}); err != nil {
		t.Error(err)
	}
}

func TestCompareRefusesShortScores(t *testing.T) {
	s := newSample(t, 200, 64, 0.5)
	score := s.score(t, s.own)
	for name, damage := range map[string]func(*Score){
		"window":   func(s *Score) { s.KL.Windows = s.KL.Windows[1:] },
		"position": func(s *Score) { s.NLL.Positions = s.NLL.Positions[1:] },
		"row":      func(s *Score) { s.Rows-- },
		"largest":  func(s *Score) { s.WorstKL = nil },
	} {
		short := *score
		damage(&short)
		if _, err := Compare(&short, Options{}); err == nil {
			t.Errorf("a score with a missing %s was compared", name)
		}
	}
}

func find(t *testing.T, all []rows.Row, name string) rows.Row {
	t.Helper()
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no row %s", name)
	return rows.Row{}
}
