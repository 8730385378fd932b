package profiles

import (
	"math"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// share is how many requests have a prompt up to n.
func (r *Requests) upTo(n int) float64 {
	sum := 0.0
	for i, k := range r.prompts {
		if i <= n {
			sum += float64(k) * r.unit
		}
	}
	return sum
}

func TestLengths(t *testing.T) {
	parse := func(text string) *Requests {
		r, err := ParseLengths(text, 0, false)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return r
	}
	near := func(what string, got, want, within float64) {
		if math.Abs(got-want) > within {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	r := parse("lognormal:median=180,p95=900,max=20000 + 1")
	near("the median", r.upTo(180), 0.5, 0.01)
	near("the 95th percentile", r.upTo(900), 0.95, 0.01)
	// By hand: of a lognormal with mean 200 and deviation 100 the logarithm has
	// deviation sqrt(ln 1.25) = 0.4724 and mean ln 200 - 0.4724^2/2 = 5.1867.
	r = parse("lognormal:mean=200,stddev=100,max=20000 + 1")
	near("the median", r.upTo(179), 0.5, 0.005)
	mean := 0.0
	for n, k := range r.prompts {
		mean += float64(n) * float64(k) * r.unit
	}
	near("the mean", mean, 200, 3)
	r = parse("lognormal:mu=5.1867,sigma=0.4724,max=20000 + 1")
	near("the median", r.upTo(179), 0.5, 0.005)
	r = parse("uniform:10..19 + 3")
	near("half", r.upTo(14), 0.5, 1e-9)
	r = parse("hist:8=1,16..17=2,32=1 + 3")
	near("up to 16", r.upTo(16), 0.5, 1e-6)
	if n := Count(Demand(Workload{Requests: []*Requests{r}})); n != 4+2+3+2 { // 8 to 9, 16 to 18, 32 to 33
		t.Errorf("%d shapes: %v", n, Demand(Workload{Requests: []*Requests{r}}))
	}
	// Independent lengths: every end is demanded, by how often pairs reach it.
	r = parse("uniform:10..11 + uniform:0..3")
	want := map[int]float64{10: 0.25, 11: 0.375, 12: 0.125}
	for s := range Each(Demand(Workload{Requests: []*Requests{r}})) {
		if s.Phase == Decode {
			near(s.String(), s.Count, want[s.Past], 1e-9)
			delete(want, s.Past)
		}
	}
	if len(want) > 0 {
		t.Errorf("never: %v", want)
	}
	r, err := ParseLengths("uniform:1..100 + uniform:1..100", 50, false)
	if n, _ := r.beyond(50, false); err != nil || n > 0 {
		t.Errorf("%d are beyond 50: %v", n, err)
	}
}

func TestLengthsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "new tokens are missing",
		"12":                                   "new tokens are missing",
		"x + 1":                                `"x" is no distribution`,
		"uniform:5..2 + 1":                     "ends before it begins",
		"uniform:0..2 + 1":                     "at least one token",
		"uniform:-1..2 + 1":                    "no length",
		"uniform:1..99999999999999 + 1":        "no length",
		"lognormal:median=5,p95=9 + 1":         "no end",
		"lognormal:median=5,max=90 + 1":        "wants median and a larger p95",
		"lognormal:median=5,p95=5,max=9 + 1":   "wants median and a larger p95",
		"lognormal:median=nan,p95=5,max=9 + 1": "KEY=NUMBER",
		"lognormal:median=1,p95=5,max=9,mod=3 + 1": `has no "mod"`,
		"lognormal:median=1,p95=5,max=2,min=3 + 1": "from 3 to 2",
		"lognormal:mu=-2000000,sigma=1,max=9 + 1":  "nothing of it",
		"hist:1=2,3 + 1": "LENGTH=COUNT",
		"hist:1=-2 + 1":  "LENGTH=COUNT",
		"uniform:1..2000000 + uniform:1..2000000": "too many",
		strings.Repeat("x", 2<<20):                "too long",
	} {
		_, err := ParseLengths(text, 0, false)
		if fault.Exit(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", clip(text), err, want)
		}
	}
	if _, err := ParseLengths("100 + 5", 50, false); fault.Exit(err) != 2 {
		t.Errorf("nothing fits: %v", err)
	}
}

func FuzzParseLengths(f *testing.F) {
	for _, text := range []string{"lognormal:median=18,p95=90,max=248 + uniform:16..25", "hist:1=2,3..4=5+0", "7+8", "lognormal:mu=1,sigma=1e-9,max=9+1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 60 {
			return // a long list of wide ranges is slow, not wrong
		}
		r, err := ParseLengths(text, 4000, true)
		if err != nil {
			if fault.Exit(err) != 2 {
				t.Errorf("exit %d: %v", fault.Exit(err), err)
			}
			return
		}
		w := Workload{Requests: []*Requests{r}, FeedLast: true}
		if n, _ := r.beyond(4000, true); n > 0 || r.Number <= 0 || w.Check() != nil {
			t.Errorf("%d requests, %d beyond: %v", r.Number, n, w.Check())
		}
		for _, s := range Demand(w) {
			if !(s.Count > 0) {
				t.Errorf("%s occurs %g times", s, s.Count)
			}
		}
	})
}
