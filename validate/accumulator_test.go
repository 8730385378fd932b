package validate

import (
	gocmp "cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a reference and a candidate for windows of random ids: the logits
// of both, row by row, and the bundle of the reference.
type sample struct {
	windows  []Window
	ref, own [][]float32
	bundle   *Bundle
}

const (
	sampleWindows = 4
	sampleLength  = 6
)

func newSample(t *testing.T, vocab, topK int, noise float64) sample {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	c := Convention{Name: HFNonOverlap, Length: sampleLength}
	ids := make([]int, sampleWindows*sampleLength+3)
	for i := range ids {
		ids[i] = r.IntN(vocab)
	}
	s := sample{windows: c.Windows(ids)}
	for range sampleWindows * (sampleLength - 1) {
		ref, own := make([]float32, vocab), make([]float32, vocab)
		for i := range ref {
			ref[i] = float32(3 * r.NormFloat64())
			own[i] = ref[i] + float32(noise*r.NormFloat64())
		}
		s.ref, s.own = append(s.ref, ref), append(s.own, own)
	}
	s.bundle = record(t, Header{Convention: c, Tokens: len(ids), Vocab: vocab, TopK: topK}, s.windows, s.ref)
	return s
}

// record writes a bundle of logits and reads it back.
func record(t *testing.T, h Header, windows []Window, logits [][]float32) *Bundle {
	t.Helper()
	h.CreatedBy, h.Windows, h.Rows = "test", len(windows), len(logits)
	dir, i := t.TempDir(), 0
	err := Write(dir, h, func() (Row, error) {
		w := windows[i/windows[0].Rows()]
		r := rowOf(logits[i], w.IDs[w.First+i%w.Rows()+1], h.TopK)
		i++
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// rowOf is a row of the definition, by sorting.
func rowOf(logits []float32, target, topK int) Row {
	p := softmax(logits)
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return gocmp.Compare(p[b], p[a]) })
	row := Row{NLL: float32(-math.Log(p[target])), LSE: float32(float64(logits[target]) - math.Log(p[target]))}
	for rank, id := range order {
		if rank < topK {
			row.IDs, row.LogProbs = append(row.IDs, uint32(id)), append(row.LogProbs, float32(math.Log(p[id])))
		} else {
			row.Tail += float32(p[id])
		}
	}
	return row
}

func softmax(logits []float32) []float64 {
	p, sum := make([]float64, len(logits)), 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func fullKL(ref, own []float32) float64 {
	p, q, kl := softmax(ref), softmax(own), 0.0
	for i := range p {
		kl += p[i] * math.Log(p[i]/q[i])
	}
	return kl
}

func (s sample) score(t *testing.T, logits [][]float32) *Score {
	t.Helper()
	a, err := NewAccumulator(s.windows, s.bundle.Convention, s.bundle.Tokens, s.bundle, "prefill")
	if err != nil {
		t.Fatal(err)
	}
	// Position by position across windows, as a batch is decoded.
	for pos := range sampleLength - 1 {
		for w := range s.windows {
			if err := a.Add(Position{w, pos, logits[w*(sampleLength-1)+pos]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(a.open) != 0 {
		t.Errorf("%d finished windows are still held", len(a.open))
	}
	score, err := a.Score()
	if err != nil {
		t.Fatal(err)
	}
	return score
}

// With all tokens kept the bound is the KL itself; with fewer it lies between
// zero and the KL.
func TestDivergenceBound(t *testing.T) {
	for _, topK := range []int{200, 64, 5, 1} {
		s := newSample(t, 200, topK, 0.5)
		score := s.score(t, s.own)
		sum := 0.0
		for i, own := range s.own {
			w := i / (sampleLength - 1)
			all, err := s.bundle.Window(w)
			if err != nil {
				t.Fatal(err)
			}
			lse, _ := LogSumExp(own)
			got := divergence(all[i%(sampleLength-1)], own, lse).kl
			if sum += got; i%(sampleLength-1) == sampleLength-2 {
				if math.Abs(score.KL.Windows[w]-sum) > 1e-12 {
					t.Errorf("window %d: KL adds up to %g, in the score to %g", w, sum, score.KL.Windows[w])
				}
				sum = 0
			}
			want := fullKL(s.ref[i], s.own[i])
			switch {
			case topK == 200 && math.Abs(got-want) > 1e-6:
				t.Errorf("row %d: KL of all tokens is %g, want %g", i, got, want)
			case got < -1e-6 || got > want+1e-6:
				t.Errorf("top %d, row %d: %g is no lower bound of %g", topK, i, got, want)
			}
		}
	}
}

func TestScoreOfTheReferenceItself(t *testing.T) {
	s := newSample(t, 300, 64, 1)
	score := s.score(t, s.ref)
	if score.WorstKL[0] > 1e-6 || score.MaxDelta > 1e-5 || score.Top1 != score.Rows || score.Top5 != score.Rows || score.Rows != 20 {
		t.Errorf("KL %g, delta %g, %d and %d of %d agree", score.WorstKL[0], score.MaxDelta, score.Top1, score.Top5, score.Rows)
	}
	for w, sum := range score.KL.Windows {
		if math.Abs(sum) > 1e-6*sampleLength {
			t.Errorf("window %d: KL adds up to %g", w, sum)
		}
	}
	if got := score.Perplexity(); math.Abs(got/s.bundle.Perplexity-1) > 1e-6 {
		t.Errorf("perplexity %g, recorded %g", got, s.bundle.Perplexity)
	}
}

func TestLogSumExpIsStable(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	for _, c := range []struct {
		logits []float32
		want   float64
		top    int
	}{
		{[]float32{0, 0}, math.Ln2, 0},
		{[]float32{1e30, 1e30}, float64(float32(1e30)), 0},
		{[]float32{-1e30, 3}, 3, 1},
		{[]float32{-inf, 3, -inf}, 3, 1},
		{[]float32{1, inf}, math.NaN(), 1},
		{[]float32{1, nan}, math.NaN(), 0},
		{[]float32{nan, 1}, math.NaN(), 0},
		{[]float32{-inf, -inf}, math.NaN(), 0},
	} {
		got, top := LogSumExp(c.logits)
		if top != c.top || math.Abs(got-c.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("LogSumExp(%v) = %v, %d, want %v, %d", c.logits, got, top, c.want, c.top)
		}
	}
}

func TestBrokenLogitsFailTheirRowsOnly(t *testing.T) {
	s := newSample(t, 50, 10, 0.1)
	s.own[3][7] = float32(math.NaN())
	score := s.score(t, s.own)
	if score.NonFinite != 1 || score.Bad == nil || *score.Bad != (Place{0, 3}) || !math.IsInf(score.WorstKL[0], 1) || !math.IsInf(float64(score.MaxDelta), 1) || score.Top5 > 19 {
		t.Errorf("non-finite %d at %v, KL %g, %d of 20 agree", score.NonFinite, score.Bad, score.WorstKL[0], score.Top5)
	}
	for i, sums := range [][]float64{score.NLL.Positions, score.KL.Positions, score.NLL.Windows, score.KL.Windows} {
		for at, sum := range sums {
			if broken := math.IsInf(sum, 1); math.IsNaN(sum) || broken != (at == []int{3, 3, 0, 0}[i]) {
				t.Errorf("sums %d: %v", i, sums)
			}
		}
	}
	text, err := json.Marshal(score)
	if err != nil {
		t.Fatal(err)
	}
	var back Score
	if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(&back, score) {
		t.Errorf("the score does not survive JSON: %v", err)
	}
}

func TestAccumulatorRefuses(t *testing.T) {
	s := newSample(t, 50, 10, 0.1)
	a, err := NewAccumulator(s.windows, s.bundle.Convention, s.bundle.Tokens, s.bundle, "decode")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(Position{0, 0, s.own[0]}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		w, pos int
		logits []float32
		says   string
	}{
		{"a row twice", 0, 0, s.own[0], "before"},
		{"the last position", 0, sampleLength - 1, s.own[0], "0 to 4"},
		{"a window too many", sampleWindows, 0, s.own[0], "4 windows"},
		{"fewer logits than ids", 0, 1, make([]float32, 1), "token"},
		{"another vocabulary", 0, 1, make([]float32, 51), "51 logits"},
	} {
		if err := a.Add(Position{c.w, c.pos, c.logits}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := a.Score(); err == nil || !strings.Contains(err.Error(), "19 of 20") {
		t.Errorf("an unfinished score: %v", err)
	}
	if _, err := NewAccumulator(nil, s.bundle.Convention, 3, nil, "decode"); err == nil {
		t.Error("a text without a window is scored")
	}
}

// The largest values are those of sorting all, however many there are.
func TestWorstAreTheLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 99, 100, 101, 1000, 5000} {
		w := worst{keep: kept(n, quantileKL)}
		all := make([]float64, n)
		for i := range all {
			all[i] = r.NormFloat64()
			if i == n/2 {
				all[i] = math.Inf(1)
			}
			w.add(all[i])
			if len(w.values) > 2*w.keep+64 {
				t.Fatalf("%d values are held to keep %d", len(w.values), w.keep)
			}
		}
		slices.Sort(all)
		got := w.falling()
		if quantile := got[kept(n, quantileKL)-1]; quantile != all[rank(n, quantileKL)] || got[0] != all[n-1] || got[kept(n, 0.999)-1] != all[rank(n, 0.999)] {
			t.Errorf("of %d values: 99 %% %g, most %g, want %g and %g", n, quantile, got[0], all[rank(n, quantileKL)], all[n-1])
		}
	}
}

// What is held and what crosses the pipe does not grow with each token.
func TestScoreIsSmall(t *testing.T) {
	const windows, length, vocab = 400, 65, 8
	c := Convention{Name: HFNonOverlap, Length: length}
	ids := make([]int, windows*length)
	a, err := NewAccumulator(c.Windows(ids), c, len(ids), nil, "prefill")
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, vocab)
	a.Live(zeros{})
	for w := range windows {
		for at := range length - 1 {
			if err := a.Add(Position{w, at, logits}); err != nil {
				t.Fatal(err)
			}
		}
		if len(a.open) != 0 || len(a.kl.values) > windows*length/40 {
			t.Fatalf("after window %d %d windows and %d values are held", w, len(a.open), len(a.kl.values))
		}
	}
	score, err := a.Score()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(score)
	if err != nil || len(text) > 2*windows*length {
		t.Errorf("the score of %d tokens has %d bytes (%v)", windows*length, len(text), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
