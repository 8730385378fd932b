package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// synthetic is a model whose cost is known: a sum over candidates, with
// interactions of pairs in both directions and a noise that belongs to the
// subset, so that nothing is monotone.
type synthetic struct {
	alone    []float64
	pairs    [][]float64
	noise    float64
	measured map[string]int
}

func newSynthetic(n int, seed uint64) (*synthetic, []Candidate) {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &synthetic{alone: make([]float64, n), pairs: make([][]float64, n), noise: 0.05, measured: map[string]int{}}
	var candidates []Candidate
	for i := range n {
		s.alone[i] = math.Exp(2 * r.NormFloat64())
		s.pairs[i] = make([]float64, n)
		for j := range i {
			s.pairs[i][j] = 0.3 * r.NormFloat64() * math.Sqrt(s.alone[i]*s.alone[j])
		}
		bytes := []int64{64, 192, 256, 256}[i%4] << 10 // as in a decoder: many alike
		candidates = append(candidates, Candidate{Node: fmt.Sprint("n", i), Float: 4 * bytes, Quantized: bytes})
	}
	return s, candidates
}

func (s *synthetic) Measure(_ context.Context, chosen Subset) (Measurement, error) {
	s.measured[chosen.String()]++
	cost, h := 0.0, uint64(1469598103934665603)
	for i, in := range chosen {
		h *= 1099511628211
		if !in {
			continue
		}
		h++
		cost += s.alone[i]
		for j := range i {
			if chosen[j] {
				cost += s.pairs[i][j]
			}
		}
	}
	cost = math.Abs(cost) * (1 + s.noise*rand.New(rand.NewPCG(h, 2)).NormFloat64())
	kl := Interval{Value: cost, Lo: 0.8 * cost, Hi: 1.2 * cost}
	return Measurement{KL: kl, PPL: Interval{Value: math.Exp(kl.Value / 10), Lo: math.Exp(kl.Lo / 10), Hi: math.Exp(kl.Hi / 10)}, Windows: 8}, nil
}

// bruteForce is the definition, written apart from the search.
func bruteForce(t *testing.T, e Evaluator, candidates []Candidate, g Gate) (best Point) {
	t.Helper()
	n := len(candidates)
	for mask := 1<<n - 1; mask >= 0; mask-- {
		p := Point{Chosen: make(Subset, n)}
		for i := range n {
			if p.Chosen[i] = mask&(1<<(n-1-i)) != 0; p.Chosen[i] {
				p.Saved += candidates[i].Float - candidates[i].Quantized
			}
		}
		var err error
		if p.Measured, err = e.Measure(t.Context(), p.Chosen); err != nil {
			t.Fatal(err)
		}
		within := mask == 0 || (g.KLMax == 0 || p.Measured.KL.Hi <= g.KLMax) && (g.PPLRatioMax == 0 || p.Measured.PPL.Hi <= g.PPLRatioMax)
		if within && (best.Chosen == nil || p.Saved > best.Saved || p.Saved == best.Saved && p.Measured.KL.Value < best.Measured.KL.Value) {
			best = p
		}
	}
	return best
}

// plainGreedy adds candidates by sensitivity until the gate breaks.
func plainGreedy(t *testing.T, e Evaluator, candidates []Candidate, g Gate) (saved int64) {
	t.Helper()
	n := len(candidates)
	type one struct {
		i  int
		kl float64
	}
	var order []one
	for i := range n {
		m, _ := e.Measure(t.Context(), make(Subset, n).with(i, true))
		order = append(order, one{i, m.KL.Value})
	}
	slices.SortFunc(order, func(a, b one) int { return int(math.Copysign(1, a.kl-b.kl)) })
	chosen := make(Subset, n)
	for _, o := range order {
		chosen = chosen.with(o.i, true)
		if m, _ := e.Measure(t.Context(), chosen); !g.Holds(m) {
			break
		}
		saved += candidates[o.i].Saved()
	}
	return saved
}

func TestTenCandidatesAreExact(t *testing.T) {
	for seed := range uint64(20) {
		for _, g := range []Gate{{KLMax: 2}, {PPLRatioMax: 1.3}, {KLMax: 20, PPLRatioMax: 1.5}, {KLMax: 1e-6}, {KLMax: 1e6}} {
			e, candidates := newSynthetic(10, seed)
			r, err := Run(t.Context(), e, candidates, Options{Gate: g}, progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			for subset, times := range e.measured {
				if times > 1 {
					t.Fatalf("subset %s was measured %d times", subset, times)
				}
			}
			want := bruteForce(t, e, candidates, g)
			if !r.Exact || r.Chosen.Chosen.String() != want.Chosen.String() || r.Chosen.Saved != want.Saved {
				t.Errorf("seed %d, %+v: chose %s (%d bytes), brute force %s (%d bytes)", seed, g, r.Chosen.Chosen, r.Chosen.Saved, want.Chosen, want.Saved)
			}
		}
	}
}

func TestManyCandidatesAreNeverLessThanGreedy(t *testing.T) {
	var sum, greedySum, spent int64
	for seed := range uint64(30) {
		g := Gate{KLMax: []float64{1, 5, 30}[seed%3]}
		e, candidates := newSynthetic(48, seed)
		r, err := Run(t.Context(), e, candidates, Options{Gate: g}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if r.Exact || r.Measurements > 6*48 {
			t.Errorf("seed %d: exact %v after %d measurements", seed, r.Exact, r.Measurements)
		}
		if !g.Holds(r.Chosen.Measured) {
			t.Errorf("seed %d: the choice breaks the gate: %+v", seed, r.Chosen.Measured)
		}
		greedy := plainGreedy(t, e, candidates, g)
		if r.Chosen.Saved < greedy || r.Chosen.Saved < r.Greedy.Saved {
			t.Errorf("seed %d: %d bytes, greedy by sensitivity %d", seed, r.Chosen.Saved, greedy)
		}
		sum, greedySum, spent = sum+r.Chosen.Saved, greedySum+greedy, spent+int64(r.Measurements)
	}
	t.Logf("%.1f %% more than plain greedy in %d measurements a search", 100*(float64(sum)/float64(greedySum)-1), spent/30)
}

// TestExploreIsNearBruteForce runs what serves many candidates on few, where the
// truth is known.
func TestExploreIsNearBruteForce(t *testing.T) {
	var got, want int64
	for seed := range uint64(30) {
		g := Gate{KLMax: []float64{1, 5, 30}[seed%3]}
		e, candidates := newSynthetic(12, seed)
		r, err := Run(t.Context(), e, candidates, Options{Gate: g}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		got, want = got+r.Chosen.Saved, want+bruteForce(t, e, candidates, g).Saved
	}
	t.Logf("%.1f %% of what brute force saves", 100*float64(got)/float64(want))
	if float64(got) < 0.97*float64(want) {
		t.Errorf("twelve candidates save %d bytes, brute force %d", got, want)
	}
}

// lucky is a search's windows on which one subset looks better than it is.
type lucky struct {
	*synthetic
	subset string
}

func (l lucky) Measure(ctx context.Context, s Subset) (Measurement, error) {
	m, err := l.synthetic.Measure(ctx, s)
	if s.String() == l.subset {
		m = Measurement{PPL: Interval{1, 1, 1}}
	}
	return m, err
}

func TestHeldOutWindowsHaveTheLastWord(t *testing.T) {
	e, candidates := newSynthetic(6, 3)
	g := Gate{KLMax: 2}
	want := bruteForce(t, e, candidates, g)
	for _, budget := range []int{0, 40} { // exact and not
		r, err := Run(t.Context(), lucky{e, "111111"}, candidates, Options{Gate: g, Confirm: e, Budget: budget}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if r.Chosen.Chosen.String() != want.Chosen.String() || r.Chosen.Confirmed == nil || !g.Holds(*r.Chosen.Confirmed) {
			t.Errorf("budget %d: chose %s, held out %+v; want %s", budget, r.Chosen.Chosen, r.Chosen.Confirmed, want.Chosen)
		}
	}
}

func TestFrontierHasNothingThatIsBeaten(t *testing.T) {
	e, candidates := newSynthetic(9, 5)
	r, err := Run(t.Context(), e, candidates, Options{Gate: Gate{KLMax: 3}}, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	front := Frontier(r.Points)
	if last := front[len(front)-1]; front[0].Saved != 0 || last.Saved == 0 {
		t.Fatalf("from %+v to %+v", front[0], last)
	}
	for i, p := range front[1:] {
		if before := front[i]; p.Saved <= before.Saved || p.Measured.KL.Value <= before.Measured.KL.Value {
			t.Errorf("%+v after %+v", p, before)
		}
	}
}

type broken struct{ after int }

func (b *broken) Measure(ctx context.Context, _ Subset) (Measurement, error) {
	if b.after--; b.after < 0 {
		return Measurement{}, errors.New("the child died")
	}
	return Measurement{}, ctx.Err()
}

func TestSearchErrors(t *testing.T) {
	_, candidates := newSynthetic(5, 1)
	for after := range 8 {
		if _, err := Run(t.Context(), &broken{after}, candidates, Options{Gate: Gate{KLMax: 1}}, progress.Noop); err == nil || !strings.Contains(err.Error(), "died") {
			t.Errorf("after %d: %v", after, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, &broken{100}, candidates, Options{Gate: Gate{KLMax: 1}}, progress.Noop); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, g := range []Gate{{}, {PPLRatioMax: 1}, {KLMax: -1}, {PPLRatioMax: math.NaN(), KLMax: 1}} {
		if _, err := Run(t.Context(), &broken{100}, candidates, Options{Gate: g}, progress.Noop); fault.Classify(err) != fault.Usage {
			t.Errorf("%+v: %v, want a usage error", g, err)
		}
	}
}

// TestStudent holds the interval to the textbook: eight values 1..8 have mean
// 4.5, standard error 0.866, and t(0.975, 7) is 2.364624.
func TestStudent(t *testing.T) {
	got := student([]float64{1, 2, 3, 4, 5, 6, 7, 8})
	half := 2.364624252 * math.Sqrt(6.0/8)
	if math.Abs(got.Value-4.5) > 1e-12 || math.Abs(got.Hi-4.5-half) > 1e-6 || math.Abs(4.5-got.Lo-half) > 1e-6 {
		t.Errorf("%+v, want 4.5 ± %v", got, half)
	}
	if got := student([]float64{1, math.Inf(1)}); !math.IsInf(got.Hi, 1) || !math.IsInf(got.Value, 1) {
		t.Errorf("with an infinity: %+v", got)
	}
	if _, err := NewMeasurement([]float64{1}, []float64{1}); err == nil {
		t.Error("one window has an interval")
	}
}
