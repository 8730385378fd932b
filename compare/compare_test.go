package compare

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// run is a made-up benchmark of two engines: rounds, requests a round, and how much
// slower decode is than it was.
type run struct {
	seed             uint64
	rounds, requests int
	slower           float64
	engines          []string
	drift            float64 // of a round, that all engines share
}

func (r run) samples() []bench.Sample {
	rnd := rand.New(rand.NewPCG(r.seed, 1))
	noise := func() float64 { return math.Exp(0.01 * rnd.NormFloat64()) }
	var all []bench.Sample
	for round := range r.rounds {
		drift := math.Exp(r.drift * rnd.NormFloat64())
		for _, engine := range r.engines {
			base := drift * map[string]float64{"ortcpu-fp32": 20, "ortcpu-int8": 14, "a": 20, "b": 14}[engine]
			for range r.requests {
				s := bench.Sample{Engine: engine, Scenario: "chat", Mode: bench.Cached, Batch: 1, PromptTokens: 27, NewTokens: 8, Round: round, TTFT: base * noise(), PeakRSS: 100 << 20}
				s.E2E = s.TTFT
				for range s.NewTokens - 1 {
					gap := base / 10 * r.slower * noise()
					s.Gaps, s.E2E = append(s.Gaps, gap), s.E2E+gap
				}
				all = append(all, s)
			}
		}
	}
	return all
}

// results are those of the run, with the machine given.
func (r run) results(name string, m *bench.Machine) *Results {
	samples := r.samples()
	return &Results{Name: name, Samples: samples, Rows: bench.Rows(samples), Machine: m}
}

var both = []string{"ortcpu-fp32", "ortcpu-int8"}

func machine(cpu string) *bench.Machine {
	return &bench.Machine{Kind: "machine", SchemaVersion: 1, CPU: cpu, Cores: 2, Threads: 2, OS: "linux/amd64"}
}

// class is what became of a figure.
func class(t *testing.T, c *Comparison, name string) Change {
	t.Helper()
	for _, one := range c.Changes {
		if one.Name == name {
			return one
		}
	}
	t.Fatalf("no %s in %v", name, c.Changes)
	return Change{}
}

func TestRuns(t *testing.T) {
	old := run{seed: 1, rounds: 6, requests: 3, slower: 1, engines: both}.results("old", machine("X"))
	now := run{seed: 2, rounds: 6, requests: 3, slower: 1.1, engines: both}.results("new", machine("X"))
	c, err := Runs(old, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Class{bench.TTFT: Unchanged, bench.TPOT: Regressed, bench.DecodeRate: Regressed, bench.E2E: Regressed, bench.PeakRSS: Unchanged, bench.Failed: Unchanged} {
		if got := class(t, c, name); got.Class != want {
			t.Errorf("%s is %s, want %s: %+v", name, got.Class, want, got)
		}
	}
	tpot, rate := class(t, c, bench.TPOT), class(t, c, bench.DecodeRate)
	if share, lo, hi, ok := tpot.Worse(); !ok || math.Abs(share-0.1) > 0.02 || lo > share || hi < share {
		t.Errorf("tpot is worse by %v [%v, %v]", share, lo, hi)
	}
	if *tpot.Adjusted != *rate.Adjusted || c.Tested != 8 {
		t.Errorf("a rate and its time are two hypotheses: %v and %v of %d", *tpot.Adjusted, *rate.Adjusted, c.Tested)
	}
	back, err := Runs(now, old, Options{Permutation: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := class(t, back, bench.TPOT); got.Class != Improved || !strings.HasPrefix(got.Test, "permutation") {
		t.Errorf("the other way round tpot is %+v", got)
	}
}

// Perplexities of two conventions are two quantities.
func TestConventions(t *testing.T) {
	of := func(convention string) *Results {
		row := rows.Row{Engine: "e", Phase: "prefill", Name: validate.Perplexity, Value: 20}
		if convention != "" {
			row.Extra = keep.Fields{validate.ConventionField: json.RawMessage(strconv.Quote(convention))}
		}
		return &Results{Rows: []rows.Row{row}}
	}
	for _, c := range []struct {
		old, now string
		refused  bool
	}{{"hf-strided(512,256)", "llama-chunks(512)", true}, {"llama-chunks(512)", "llama-chunks(512)", false}, {"", "llama-chunks(512)", false}} {
		got, err := Runs(of(c.old), of(c.now), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if one := class(t, got, validate.Perplexity); (one.Class == Refused) != c.refused {
			t.Errorf("%q to %q is %s: %v", c.old, c.now, one.Class, one.Warnings)
		}
	}
}

// Without the drift that both shared, a difference shows that is smaller than it.
func TestEnginesArePairedByRound(t *testing.T) {
	one := run{seed: 3, rounds: 8, requests: 1, slower: 1, engines: []string{"a", "b"}, drift: 1}
	r := one.results("dir", nil)
	for i := range r.Samples {
		if r.Samples[i].Engine == "b" { // 20/14 faster: make it 3 %
			r.Samples[i].TTFT *= 20.0 / 14 / 1.03
		}
	}
	r.Rows = bench.Rows(r.Samples)
	c, err := Engines(r, "a", "b", Options{Figures: []string{bench.TTFT}})
	if err != nil {
		t.Fatal(err)
	}
	got := class(t, c, bench.TTFT)
	if got.Pairs != 8 || got.Class != Improved || !strings.HasPrefix(got.Test, "Wilcoxon") || len(c.Warnings) > 0 {
		t.Errorf("paired: %+v, %v", got, c.Warnings)
	}
	plain, err := Runs(r.of("a", "e"), r.of("b", "e"), Options{Figures: []string{bench.TTFT}})
	if err != nil {
		t.Fatal(err)
	}
	if got := class(t, plain, bench.TTFT); got.Class != Undecided {
		t.Errorf("not paired: %+v", got)
	}
	few := run{seed: 4, rounds: 3, requests: 5, slower: 1, engines: both}.results("few", nil)
	c, err = Engines(few, both[0], both[1], Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := class(t, c, bench.TTFT); got.Pairs != 0 || got.Class != Improved || !strings.Contains(strings.Join(got.Warnings, " "), "3 rounds measured both") {
		t.Errorf("three rounds: %+v", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	base := run{seed: 1, rounds: 6, requests: 2, slower: 1, engines: both[:1]}
	old, now := base.results("old", machine("X")), base.results("new", machine("Y"))
	c, err := Runs(old, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := class(t, c, bench.TPOT); got.Class != Refused || len(c.Machines) != 1 {
		t.Errorf("another machine: %+v, %v", got, c.Machines)
	}
	if got := class(t, c, bench.Failed); got.Class != Unchanged {
		t.Errorf("failures do not depend on the machine: %+v", got)
	}
	c, err = Runs(old, now, Options{AcrossMachines: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := class(t, c, bench.TPOT); got.Class != Unchanged || !slices.Contains(got.Warnings, "across machines that differ") {
		t.Errorf("across machines: %+v", got)
	}
	now = base.results("new", machine("X"))
	for i := range now.Samples {
		now.Samples[i].PromptTokens = 32
	}
	if c, err = Runs(old, now, Options{}); err != nil || class(t, c, bench.TPOT).Class != Refused {
		t.Errorf("another scenario of the same name: %+v, %v", c, err)
	}
	now = base.results("new", machine("X"))
	now.Rows[0].Unit = "s"
	if c, err = Runs(old, now, Options{}); err != nil || class(t, c, bench.TTFT).Class != Refused {
		t.Errorf("another unit: %+v, %v", c, err)
	}
}

// row is a figure with an interval.
func row(name, unit string, value, lo, hi float64) rows.Row {
	return rows.Row{Engine: "e", Name: name, Unit: unit, Value: value, Lo: lo, Hi: hi, N: 100}
}

func TestFiguresWithoutSamples(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		old, now rows.Row
		want     Class
		warned   bool
	}{
		"sizes":           {rows.Exact("e", "engine_bytes", "bytes", 100), rows.Exact("e", "engine_bytes", "bytes", 101), Regressed, false},
		"the same text":   {row("perplexity", "1", 30, 20, 40), row("perplexity", "1", 30, 20, 40), Unchanged, false},
		"the same size":   {rows.Exact("e", "engine_bytes", "bytes", 100), rows.Exact("e", "engine_bytes", "bytes", 100), Unchanged, false},
		"first failures":  {rows.Exact("e", "failed", "1", 0), rows.Exact("e", "failed", "1", 2), Regressed, false},
		"perplexity":      {row("perplexity", "1", 30, 29.9, 30.1), row("perplexity", "1", 33, 32.9, 33.1), Regressed, false},
		"wide":            {row("perplexity", "1", 30, 20, 40), row("perplexity", "1", 33, 22, 44), Undecided, false},
		"agreement":       {row("top1_agreement", "1", 0.9, 0.89, 0.91), row("top1_agreement", "1", 0.95, 0.94, 0.96), Improved, false},
		"no direction":    {row("sm_clock", "MHz", 1000, 999, 1001), row("sm_clock", "MHz", 2000, 1999, 2001), Changed, false},
		"from zero":       {row("kl_top64_mean", "nats", 0, 0, 0), row("kl_top64_mean", "nats", 0.1, 0.09, 0.11), Regressed, false},
		"around zero":     {row("kl_top64_mean", "nats", 0.01, 0, 0.02), row("kl_top64_mean", "nats", 0.011, 0, 0.02), Undecided, false},
		"NaN":             {row("perplexity", "1", 30, 29, 31), row("perplexity", "1", nan, nan, nan), Regressed, true},
		"was NaN":         {row("perplexity", "1", nan, nan, nan), row("perplexity", "1", 30, 29, 31), Improved, true},
		"both NaN":        {row("perplexity", "1", nan, nan, nan), row("perplexity", "1", nan, nan, nan), Undecided, true},
		"no interval":     {row("tpot", "ms", 1, -inf, inf), row("tpot", "ms", 2, -inf, inf), Undecided, true},
		"one sample":      {sampled(row("tpot", "ms", 1, -inf, inf), 1), sampled(row("tpot", "ms", 2, -inf, inf), 2), Undecided, true},
		"no variance":     {sampled(row("tpot", "ms", 1, 1, 1), 1, 1, 1, 1, 1, 1), sampled(row("tpot", "ms", 2, 2, 2), 2, 2, 2, 2, 2, 2), Regressed, true},
		"samples of rows": {sampled(row("tpot", "ms", 1, 1, 1), 1, 1.01, 1.02, 0.99, 0.98, 1), sampled(row("tpot", "ms", 2, 2, 2), 2, 2.01, 2.02, 2, 1.99, 1.98), Regressed, false},
		"a sample is NaN": {sampled(row("tpot", "ms", 1, 1, 1.1), 1, 1, nan), sampled(row("tpot", "ms", 2, 2, 2.1), 2, 2, 2), Regressed, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Runs(&Results{Name: "old", Rows: []rows.Row{c.old}}, &Results{Name: "new", Rows: []rows.Row{c.now}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if one := got.Changes[0]; one.Class != c.want || (len(one.Warnings) > 0) != c.warned {
				t.Errorf("%s, want %s: %+v", one.Class, c.want, one)
			}
		})
	}
}

func sampled(r rows.Row, samples ...float64) rows.Row {
	r.Samples, r.N = samples, len(samples)
	return r
}

// Sides with nothing in common are a few lines and a sentence, not a list.
func TestNothingInCommon(t *testing.T) {
	old := run{seed: 1, rounds: 6, requests: 3, slower: 1, engines: both}.results("old", nil)
	now := run{seed: 2, rounds: 6, requests: 3, slower: 1, engines: both}.results("new", nil)
	for i := range now.Rows {
		now.Rows[i].Engine += "-b"
	}
	c, err := Runs(old, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"table", "markdown"} {
		var b strings.Builder
		if err := c.Write(&b, form, nil); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(b.String(), "\\", "")
		for _, want := range []string{"nothing in common", "old has " + strings.Join(both, ", ") + " in chat; new has " + both[0] + "-b", "gone: " + both[0] + ": 10 figures, in chat"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", form, want, text)
			}
		}
		if n := strings.Count(text, "\n"); n > 14 {
			t.Errorf("%s has %d lines:\n%s", form, n, text)
		}
	}
	if c, err = Runs(old, old, Options{}); err != nil || strings.Contains(strings.Join(c.Warnings, "\n"), "in common") {
		t.Errorf("of the same results: %q, %v", c.Warnings, err)
	}
}

func TestLimits(t *testing.T) {
	old := run{seed: 1, rounds: 6, requests: 3, slower: 1, engines: both}.results("old", nil)
	now := run{seed: 2, rounds: 6, requests: 3, slower: 1.1, engines: both[:1]}.results("new", nil)
	c, err := Runs(old, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"3%":           {bench.TPOT, bench.DecodeRate, bench.E2E, "gone"},
		"0.2":          {"gone"},
		"tpot=5%":      {bench.TPOT, "gone"},
		"ttft=1%":      {"gone"},
		"tpot=20%,50%": {"gone"},
		"kl_*=1%":      nil,
	} {
		limits, err := ParseLimits(strings.Split(text, ","))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range limits.Broken(c) {
			name := b.Change.Name
			if b.Change.Class == Gone {
				name = "gone"
			}
			if !slices.Contains(got, name) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, bad := range []string{"", "x", "-1%", "tpot=", "[=3%", "NaN", "inf"} {
		if _, err := ParseLimits([]string{bad}); fault.Classify(err) != fault.Usage {
			t.Errorf("%q is a limit (%v)", bad, err)
		}
	}
}

// What cannot pass a gate: a figure that is no number, that appeared out of nothing
// or that was refused.
func TestLimitsOfWhatCannotBeJudged(t *testing.T) {
	limits := Limits{{Figure: "*", Share: 0.5}}
	nan := math.NaN()
	for name, sides := range map[string][2]rows.Row{
		"NaN":       {row("tpot", "ms", 1, 0.9, 1.1), row("tpot", "ms", nan, nan, nan)},
		"failures":  {rows.Exact("e", "failed", "1", 0), rows.Exact("e", "failed", "1", 1)},
		"its unit":  {row("tpot", "ms", 1, 0.9, 1.1), row("tpot", "s", 1, 0.9, 1.1)},
		"too large": {row("tpot", "ms", 1, 0.9, 1.1), row("tpot", "ms", 2, 1.9, 2.1)},
	} {
		c, err := Runs(&Results{Rows: []rows.Row{sides[0]}}, &Results{Rows: []rows.Row{sides[1]}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if broken := limits.Broken(c); len(broken) != 1 || broken[0].Why == "" {
			t.Errorf("%s: %+v", name, broken)
		}
	}
}

func TestUsage(t *testing.T) {
	r := run{seed: 1, rounds: 1, requests: 1, slower: 1, engines: both}.results("dir", nil)
	for name, f := range map[string]func() error{
		"no engine":  func() error { _, err := Engines(r, both[0], "x", Options{}); return err },
		"the same":   func() error { _, err := Engines(r, both[0], both[0], Options{}); return err },
		"no pattern": func() error { _, err := Runs(r, r, Options{Figures: []string{"["}}); return err },
	} {
		if err := f(); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Runs(r, r, Options{Figures: []string{"nothing"}}); fault.Classify(err) != fault.Input {
		t.Errorf("no figure: %v", err)
	}
}

func TestForms(t *testing.T) {
	old := run{seed: 1, rounds: 6, requests: 2, slower: 1, engines: both}.results("runs/main", machine("X"))
	now := run{seed: 2, rounds: 6, requests: 2, slower: 1.1, engines: both[1:]}.results("runs/branch", machine("X"))
	nasty := row("kl_top64_mean", "nats", 0.1, 0.09, 0.11)
	nasty.Engine, nasty.Warnings = "<b>|`_*", []string{"a | b"}
	old.Rows, now.Rows = append(old.Rows, nasty), append(now.Rows, nasty)
	c, err := Runs(old, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := Limits{{Share: 0.03}}.Broken(c)
	for _, form := range append(Forms(), "github") {
		var b bytes.Buffer
		err := c.Write(&b, form, broken)
		if form == "github" {
			b.Reset()
			err = c.Annotate(&b, broken)
		}
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", form+".golden"), b.Bytes())
	}
	if err := c.Write(&bytes.Buffer{}, "xml", nil); fault.Classify(err) != fault.Usage {
		t.Errorf("an unknown form: %v", err)
	}
}

// Where rounds differ by more than the requests in them, many requests are few
// samples: five rounds decide nothing, six do.
func TestRoundsThatDiffer(t *testing.T) {
	for rounds, want := range map[int]Class{5: Undecided, 12: Regressed} {
		old := run{seed: 5, rounds: rounds, requests: 20, slower: 1, engines: both[:1], drift: 0.1}.results("old", nil)
		now := run{seed: 6, rounds: rounds, requests: 20, slower: 1.5, engines: both[:1], drift: 0.1}.results("new", nil)
		c, err := Runs(old, now, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := class(t, c, bench.TPOT)
		if got.Class != want || !strings.Contains(got.Warnings[0], "rounds differ") {
			t.Errorf("%d rounds: %+v", rounds, got)
		}
		limits := Limits{{Share: 0.03}}
		if rounds == 5 && len(limits.Broken(c)) > 0 {
			t.Error("a gate failed on what five rounds say")
		}
		if open := limits.Open(c); (len(open) > 0) != (rounds == 5) {
			t.Errorf("%d rounds: the gate could not judge %q", rounds, open)
		}
	}
}
