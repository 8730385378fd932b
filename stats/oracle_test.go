package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// oracleCase is a question to scipy or statsmodels, see testdata/oracle.py, and
// what became of ours.
type oracleCase struct {
	Kind      string    `json:"kind"`
	A         []float64 `json:"a,omitempty"`
	B         []float64 `json:"b,omitempty"`
	Method    string    `json:"method,omitempty"`
	Zeros     string    `json:"zeros,omitempty"`
	K         int       `json:"k"`
	N         int       `json:"n"`
	Q         float64   `json:"q"`
	Level     float64   `json:"level,omitempty"`
	Resamples int       `json:"resamples"`
	Seed      int       `json:"seed"`

	name string
	ours []float64
}

// ask gives the oracle's answer to each case.
func ask(t *testing.T, cases []oracleCase) [][]float64 {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(testenv.Python(t, "oracle"), "testdata/oracle.py")
	c.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var answers [][]float64
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	return answers
}

// lognormal are n values around 1, as times are; with round set many are tied.
func lognormal(r *rand.Rand, n int, sigma, round float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		v := math.Exp(sigma * r.NormFloat64())
		if round > 0 {
			v = math.Round(v/round) * round
		}
		values[i] = v
	}
	return values
}

// Figures that have one right answer must be the oracle's to 1e-9.
func TestAgainstScipyAndStatsmodels(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	var cases []oracleCase
	add := func(c oracleCase, ours ...float64) {
		c.ours, c.name = ours, fmt.Sprintf("%d: %s %s %d+%d %s", len(cases), c.Kind, c.Method, len(c.A), len(c.B), c.Zeros)
		cases = append(cases, c)
	}
	for _, n := range [][2]int{{1, 1}, {3, 4}, {6, 6}, {9, 40}, {30, 31}, {50, 50}, {51, 20}, {200, 300}} {
		a, b := lognormal(r, n[0], 0.3, 0), lognormal(r, n[1], 0.3, 0)
		test := MannWhitney(a, b)
		add(oracleCase{Kind: "mannwhitney", A: a, B: b, Method: test.Method}, test.Statistic, test.P)
		add(oracleCase{Kind: "somers", A: a, B: b}, CliffsDelta(a, b))
	}
	for _, n := range [][2]int{{4, 5}, {7, 5}, {3, 9}} { // exact with ties: all rearrangements
		a, b := lognormal(r, n[0], 0.5, 0.5), lognormal(r, n[1], 0.5, 0.5)
		test := MannWhitney(a, b)
		add(oracleCase{Kind: "mannwhitney", A: a, B: b, Method: "all"}, test.Statistic, test.P)
	}
	for _, n := range [][2]int{{26, 30}, {100, 80}} {
		a, b := lognormal(r, n[0], 0.5, 0.25), lognormal(r, n[1], 0.5, 0.25)
		test := MannWhitney(a, b)
		add(oracleCase{Kind: "mannwhitney", A: a, B: b, Method: "normal"}, test.Statistic, test.P)
		add(oracleCase{Kind: "somers", A: a, B: b}, CliffsDelta(a, b))
	}
	for _, n := range []int{1, 5, 6, 20, 50, 51, 300} {
		a, b := lognormal(r, n, 0.3, 0), lognormal(r, n, 0.3, 0)
		test := Wilcoxon(a, b)
		add(oracleCase{Kind: "wilcoxon", A: a, B: b, Method: test.Method}, test.Statistic, test.P)
		add(oracleCase{Kind: "wilcoxon", A: a, B: b, Method: "auto"}, test.Statistic, test.P)
	}
	for _, zeros := range []Zeros{DropZeros, RankZeros} {
		for _, n := range []int{8, 11, 80} { // tied differences, and some that are zero
			a, b := lognormal(r, n, 0.5, 0.25), lognormal(r, n, 0.5, 0.25)
			b[0] = a[0]
			test := WilcoxonWith(a, b, zeros)
			method := "all"
			if test.Method == "normal" {
				method = "normal"
			}
			add(oracleCase{Kind: "wilcoxon", A: a, B: b, Method: method, Zeros: string(zeros)}, test.Statistic, test.P)
		}
	}
	for _, n := range [][2]int{{3, 3}, {5, 7}, {8, 6}} {
		a, b := lognormal(r, n[0], 0.5, 0.25), lognormal(r, n[1], 0.5, 0)
		test := Permutation(a, b, 1)
		add(oracleCase{Kind: "permutation", A: a, B: b}, test.Statistic, test.P)
	}
	for _, n := range []int{2, 6, 13} {
		a, b := lognormal(r, n, 0.5, 0.25), lognormal(r, n, 0.5, 0.25)
		test := PairedPermutation(a, b, 1)
		add(oracleCase{Kind: "paired", A: a, B: b}, test.Statistic, test.P)
	}
	for _, n := range [][2]int{{5, 5}, {20, 12}} {
		for _, round := range []float64{0, 0.25} {
			a, b := lognormal(r, n[0], 0.5, round), lognormal(r, n[1], 0.8, round)
			test := KruskalWallis(a, b, append(append([]float64{}, a...), b...))
			add(oracleCase{Kind: "kruskal", A: a, B: b}, test.Statistic, test.P)
		}
	}
	for range 5 {
		p := []float64{0.04, 0.04, 0, 1}
		for range 8 {
			p = append(p, math.Pow(r.Float64(), 3))
		}
		add(oracleCase{Kind: "holm", A: p}, Holm(p)...)
	}
	for _, c := range [][2]int{{0, 10}, {10, 10}, {5, 10}, {90, 100}, {1, 1}, {287000, 287643}} {
		w := Wilson(c[0], c[1])
		add(oracleCase{Kind: "wilson", K: c[0], N: c[1]}, w.Lo, w.Hi)
	}
	for q, ns := range map[float64][]int{0.5: {6, 7, 29, 30, 31, 100, 1000}, 0.9: {36, 100, 400}, 0.99: {368, 500, 5000}} {
		for _, n := range ns {
			a := lognormal(r, n, 0.3, 0)
			s := Quantile(a, q)
			add(oracleCase{Kind: "quantile", A: a, Q: q}, s.Lo, s.Hi)
		}
	}
	x, y := lognormal(r, 12, 2, 0), lognormal(r, 12, 1, 0)
	law, err := PowerLaw(x, y, 1)
	if err != nil {
		t.Fatal(err)
	}
	add(oracleCase{Kind: "line", A: x, B: y}, law.K.Value, law.A0.Value, law.R2)

	for i, want := range ask(t, cases) {
		for j, v := range want {
			if got := cases[i].ours[j]; math.Abs(got-v) > 1e-9*max(1, math.Abs(v)) {
				t.Errorf("%s: %.12g, the oracle says %.12g", cases[i].name, got, v)
			}
		}
	}
}

// Ends of bootstrap intervals with B = 10,000 lie within 3 % of the width of
// scipy's, which draws with another generator: of means as often as we do, of the
// deviation, whose bootstrap has a long tail, ten times as often, so that the noise
// is ours alone.
func TestBootstrapAgainstScipy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	var cases []oracleCase
	for i := range 8 {
		for _, sigma := range []float64{0.2, 1} {
			a, b := lognormal(r, 30+20*i, sigma, 0), lognormal(r, 40+10*i, sigma, 0)
			add := func(kind string, resamples int, s Summary) {
				cases = append(cases, oracleCase{Kind: kind, A: a, B: b, Level: 0.95, Resamples: resamples, Seed: i + 1, ours: []float64{s.Lo, s.Hi}})
			}
			add("bca_mean", Resamples, BCa(len(a), func(draw []int) float64 { return MeanOf(a, draw) }, 0, uint64(i)))
			add("bca_ratio_of_means", Resamples, RatioOfMeans(a, b, uint64(i)))
			add("bca_deviation", 10*Resamples, BCa(len(a), func(draw []int) float64 { return deviationOf(a, draw) }, 0, uint64(i)))
		}
	}
	worst := 0.0
	for i, want := range ask(t, cases) {
		for j := range want {
			off := math.Abs(cases[i].ours[j]-want[j]) / (want[1] - want[0])
			worst = max(worst, off)
			if !(off <= 0.03) {
				t.Errorf("%d: %s of %d: end %d is %.6g, scipy's %.6g, %.1f %% of the width apart", i, cases[i].Kind, len(cases[i].A), j, cases[i].ours[j], want[j], 100*off)
			}
		}
	}
	t.Logf("%d intervals, the farthest end is %.1f %% of the width away", len(cases), 100*worst)
}

// A median takes few values when it is drawn anew, so an end may stand on either
// side of a gap: it lies between the ends of scipy's intervals of 94 and 96 %.
func TestRatioOfMediansAgainstScipy(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	var cases []oracleCase
	for i := range 8 {
		a, b := lognormal(r, 6+9*i, 0.3, 0), lognormal(r, 7+8*i, 0.3, 0)
		s := RatioOfMedians(a, b, uint64(i))
		for _, level := range []float64{0.94, 0.96} {
			cases = append(cases, oracleCase{Kind: "ratio_of_medians", A: a, B: b, Level: level, Resamples: 2 * Resamples, Seed: i + 1, ours: []float64{s.Lo, s.Hi}})
		}
	}
	answers := ask(t, cases)
	for i := 0; i < len(cases); i += 2 {
		lo, hi, narrow, wide := cases[i].ours[0], cases[i].ours[1], answers[i], answers[i+1]
		if !(wide[0] <= lo && lo <= narrow[0] && narrow[1] <= hi && hi <= wide[1]) {
			t.Errorf("%d+%d: [%.5g, %.5g] is not between %.5g and %.5g", len(cases[i].A), len(cases[i].B), lo, hi, narrow, wide)
		}
	}
}

func deviationOf(values []float64, draw []int) float64 {
	_, s := moments(values, draw)
	return s
}
