package main

import (
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
)

// ratio is how many times as fast as PyTorch the made-up engine is: a power law that
// is 1 at 50 million parameters.
func ratio(millions float64) float64 { return math.Pow(millions/50, -0.5) }

// madeUp are figures of three models and two engines, one of which fails where told.
func madeUp(t *testing.T, fail bool) *findings {
	t.Helper()
	s, p := readAll(t)
	s.Models = []model{s.Models[1], s.Models[4], s.Models[8]}
	s.Workload.Scenarios = s.Workload.Scenarios[:2]
	s.Measure.Engines = []string{"torch", "ortcpu-fp32"}
	f := &findings{
		study: s, published: p, Command: "go test", Leak: fault.New(fault.Usage, "calibrating", "", "the texts overlap", ""),
		Machine: &bench.Machine{CPU: "a CPU", Cores: 2, Threads: 2, Memory: 16 << 30, OS: "linux/amd64", Kernel: "6", Versions: map[string]string{"onnxruntime": "1"}},
		Ours:    []coverage{{What: "ours", Runtime: "any profile", Profiles: 2, Shapes: 45}},
	}
	for _, m := range s.Models {
		o := outcome{member: &member{model: m, Parameters: s.parameters(m)}, Parity: []parity{{"ortcpu-fp32", 32, 32, 4}}}
		for _, c := range cases(s.Workload.Scenarios, s.Measure.Modes) {
			for i := range s.Measure.Repetitions {
				for _, e := range s.Measure.Engines {
					ms := float64(c.PromptTokens*c.NewTokens) * m.Millions * (1 + 0.01*float64(i%3))
					if e != "torch" {
						ms /= ratio(float64(o.Parameters) / 1e6)
					}
					x := bench.Sample{Engine: e, Scenario: c.Name, Mode: c.Mode, Batch: c.Batch, PromptTokens: c.PromptTokens, NewTokens: c.NewTokens, TTFT: ms / 2, E2E: ms}
					if fail && e != "torch" && i == 2 && c.Name == "single_short" && c.Mode == bench.Cached {
						x.Failure = &bench.Failure{Class: bench.Shape, Cause: "input_ids: 4x19 | 4x27"}
					}
					o.Samples = append(o.Samples, x)
				}
			}
		}
		f.Outcomes = append(f.Outcomes, o)
	}
	return f
}

func TestCasesAreAllModes(t *testing.T) {
	s, _ := readAll(t)
	all := cases(s.Workload.Scenarios, s.Measure.Modes)
	keys := map[string]bool{}
	for _, c := range all {
		keys[c.Key()] = true
		if err := c.Check(); err != nil || (c.NewTokens == 1) != strings.HasSuffix(c.Name, prefillSuffix) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if len(keys) != 18 {
		t.Errorf("%d keys of %d cases", len(keys), len(all))
	}
}

func TestCrossoverIsFound(t *testing.T) {
	f := madeUp(t, false)
	for _, mode := range f.study.Measure.Modes {
		c := cross(f.Outcomes, "ortcpu-fp32", mode, f.study.Workload.Scenarios)
		if c.Err != nil || math.Abs(c.Fit.At.Value-50) > 1e-6 || math.Abs(c.Fit.Law.K.Value+0.5) > 1e-9 || len(c.Between) != 1 {
			t.Errorf("%s: equal at %g, k %g, %d crossings, %v", mode, c.Fit.At.Value, c.Fit.Law.K.Value, len(c.Between), c.Err)
		}
	}
	// Of what the study published, its own fit.
	c, err := f.published.crossed()
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := c.At.Lo, c.At.Hi
	if math.Abs(c.Law.K.Value+0.506) > 5e-4 || math.Abs(c.At.Value-76) > 0.5 || lo < 53 || lo > 60 || hi < 112 || hi > 125 {
		t.Errorf("k %g, equal at %g [%g, %g]", c.Law.K.Value, c.At.Value, lo, hi)
	}
}

// A failed request enters no median and no rate, and is told.
func TestFailuresEnterNoFigure(t *testing.T) {
	f := madeUp(t, true)
	o, at := f.Outcomes[1], cell{"ortcpu-fp32", "single_short", modeCached}
	if n := len(o.times(at)); n != f.study.Measure.Repetitions-1 || len(o.failures(at)) != 1 {
		t.Errorf("%d times, %d failures", n, len(o.failures(at)))
	}
	if r := o.rates("ortcpu-fp32", modeCached, f.study.Workload.Scenarios); r != nil {
		t.Errorf("rates %v over scenarios of which one failed", r)
	}
	if r := o.rates("ortcpu-fp32", modePrefill, f.study.Workload.Scenarios); len(r) != f.study.Measure.Repetitions {
		t.Errorf("%d rates of prefills, none of which failed", len(r))
	}
	if text := o.text(at); !strings.Contains(text, "1 failed (shape)") || strings.Contains(text, "[") {
		t.Errorf("the cell says %q", text)
	}
	if c := cross(f.Outcomes, "ortcpu-fp32", modeCached, f.study.Workload.Scenarios); c.Err == nil {
		t.Errorf("a crossover of %d sizes", len(c.Groups))
	}
}

func TestComparison(t *testing.T) {
	whole, failures := madeUp(t, false), madeUp(t, true)
	whole.Created, whole.Took, whole.Outcomes[1].Resumed = "3 November 2026", 1530*time.Second, 72
	for name, write := range map[string]func(io.Writer) error{"whole": whole.markdown, "failures": failures.markdown, "figures": whole.figures} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".md"), b.String())
		for i, line := range strings.Split(b.String(), "\n") {
			if strings.HasPrefix(line, "|") && columns(line) != columns(tableHead(b.String(), i)) {
				t.Errorf("line %d has %d columns: %s", i+1, columns(line), line)
			}
		}
	}
}

// tableHead is the first line of the table that a line stands in.
func tableHead(text string, line int) string {
	all := strings.Split(text, "\n")
	for line > 0 && strings.HasPrefix(all[line-1], "|") {
		line--
	}
	return all[line]
}

func columns(line string) int { return strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") }

func TestAgreeing(t *testing.T) {
	for _, c := range []struct {
		want, got [][]int64
		same, of  int
	}{
		{[][]int64{{1, 2, 3}}, [][]int64{{1, 2, 3}}, 3, 3},
		{[][]int64{{1, 2, 3}, {4, 5, 6}}, [][]int64{{1, 9, 3}, {4, 5, 6}}, 4, 6},
		{[][]int64{{1, 2}}, nil, 0, 2},
		{[][]int64{{1, 2}}, [][]int64{{1}}, 1, 2},
	} {
		if same, of := agreeing(c.want, c.got); same != c.same || of != c.of {
			t.Errorf("%v and %v: %d of %d", c.want, c.got, same, of)
		}
	}
}
