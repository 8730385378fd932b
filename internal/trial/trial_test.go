package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// fakeProcess answers turns without an engine. answer decides on each; nil gives
// samples of 10 ms.
type fakeProcess struct {
	name   string
	answer func(turn int, r jobs.BenchRequest) (*jobs.BenchResult, error)
	asked  []jobs.BenchRequest
	halted bool
	all    *[]*fakeProcess
	log    *[]string
	t      *testing.T
}

func (f *fakeProcess) Stop()     { f.halted = true }
func (f *fakeProcess) Continue() { f.halted = false }
func (f *fakeProcess) PID() int  { return 0 }

func (f *fakeProcess) CallTensors(context.Context, string, any, []onnx.Tensor, any, progress.Counter) ([]onnx.Tensor, error) {
	return nil, errors.New("no tensors")
}

func (f *fakeProcess) Call(ctx context.Context, _ string, request, result any, _ progress.Counter) error {
	r := request.(jobs.BenchRequest)
	for _, other := range *f.all {
		if halted := other.halted; len(other.asked) > 0 && halted == (other == f) {
			f.t.Errorf("while %s is measured, %s is halted: %v", f.name, other.name, halted)
		}
	}
	*f.log = append(*f.log, f.name+" "+r.Cases[0].Key())
	f.asked = append(f.asked, r)
	answer := f.answer
	if answer == nil {
		answer = func(int, jobs.BenchRequest) (*jobs.BenchResult, error) { return steady(r, 10), nil }
	}
	got, err := answer(len(f.asked)-1, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		*result.(*jobs.BenchResult) = *got
	}
	return err
}

// steady is a turn whose requests take about that many milliseconds.
func steady(r jobs.BenchRequest, took float64) *jobs.BenchResult {
	result := &jobs.BenchResult{LoadMS: 3}
	c := r.Cases[0]
	for i := range r.Repetitions {
		v := took + 0.01*float64((r.First+i)%7)
		result.Samples = append(result.Samples, bench.Sample{Engine: r.Engine, Scenario: c.Name, Mode: bench.Cached, Batch: c.Batch,
			PromptTokens: c.PromptTokens, NewTokens: c.NewTokens, Round: r.Round, TTFT: v / 2, E2E: v, Gaps: []float64{v / 2}, Run: v * 0.9})
	}
	return result
}

// newTrial is a trial of the named systems at two cases.
func newTrial(t *testing.T, names ...string) (*Trial, map[string]*fakeProcess, *[]string) {
	t.Helper()
	trial := &Trial{Repetitions: 6, Rounds: 3, Seed: 5, CreatedBy: "trtforge test", guard: guard{files: fstest.MapFS{}}}
	for _, name := range []string{"short", "long"} {
		trial.Cases = append(trial.Cases, bench.Case{Scenario: profiles.Scenario{Name: name, Batch: 1, PromptTokens: 8, NewTokens: 2}})
	}
	var log []string
	var list []*fakeProcess
	all := map[string]*fakeProcess{}
	for _, name := range names {
		f := &fakeProcess{name: name, log: &log, all: &list, t: t}
		list, all[name] = append(list, f), f
		trial.Systems = append(trial.Systems, System{Name: name, Caller: f, Key: "key of " + name, BuildMS: 7, Model: jobs.Model{Contract: &contract.Contract{Vocab: 5}}})
	}
	return trial, all, &log
}

func TestTurnsAreInterleaved(t *testing.T) {
	trial, _, log := newTrial(t, "a", "b", "c")
	out, err := trial.Run(t.Context(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(*log) != 18 || len(out.Samples) != 36 {
		t.Errorf("%d turns, %d samples", len(*log), len(out.Samples))
	}
	for i := 0; i < 18; i += 6 {
		if round := slices.Sorted(slices.Values((*log)[i : i+6])); strings.Join(round, ",") != "a long,a short,b long,b short,c long,c short" {
			t.Errorf("a round has the turns %v", round)
		}
	}
	again, _, other := newTrial(t, "a", "b", "c")
	if _, err := again.Run(t.Context(), progress.Noop); err != nil || !slices.Equal(*log, *other) {
		t.Errorf("the same seed gave %v, then %v (%v)", *log, *other, err)
	}
	r := trial.Rows()
	ttft, _ := rows.Find(r, "b", "long", bench.Prefill, bench.TTFT)
	build, _ := rows.Find(r, "b", "", "", bench.Build)
	if ttft.N != 6 || ttft.Lo > ttft.Value || build.Value != 7 {
		t.Errorf("rows %+v, %+v", ttft, build)
	}
}

// A process that dies has a failed turn and another chance; the others go on. After
// two failed turns in a row a system is given up at that case.
func TestFailuresAreRows(t *testing.T) {
	trial, all, log := newTrial(t, "good", "dies once", "never", "slow")
	trial.Timeout = 200 * time.Millisecond
	died := errors.New("process ort (pid 7) was killed by SIGKILL from outside")
	all["dies once"].answer = func(turn int, r jobs.BenchRequest) (*jobs.BenchResult, error) {
		if turn == 1 {
			return nil, died
		}
		return steady(r, 20), nil
	}
	all["never"].answer = func(int, jobs.BenchRequest) (*jobs.BenchResult, error) { return nil, errors.New("std::bad_alloc") }
	all["slow"].answer = func(int, jobs.BenchRequest) (*jobs.BenchResult, error) {
		time.Sleep(300 * time.Millisecond)
		return nil, nil
	}
	out, err := trial.Run(t.Context(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, line := range *log {
		count[strings.TrimSuffix(strings.TrimSuffix(line, " short"), " long")]++
	}
	if want := map[string]int{"good": 6, "dies once": 6, "never": 4, "slow": 4}; !maps.Equal(count, want) {
		t.Errorf("turns %v, want %v", count, want)
	}
	classes := map[string]int{}
	for _, s := range out.Samples {
		if s.Failure != nil {
			classes[s.Engine+" "+string(s.Failure.Class)]++
		}
	}
	if want := map[string]int{"dies once died": 1, "never memory": 4, "slow timeout": 4}; !maps.Equal(classes, want) {
		t.Errorf("failures %v, want %v", classes, want)
	}
	for _, c := range trial.Cases {
		r, found := rows.Find(trial.Rows(), "dies once", c.Name, bench.Prefill, bench.TTFT)
		if !found || r.Value > 10.1 {
			t.Errorf("%s: %+v", c.Name, r)
		}
	}
	if _, found := rows.Find(trial.Rows(), "never", "short", bench.Prefill, bench.TTFT); found {
		t.Error("a system that only fails has a time")
	}
}

func TestMissingLibraryEndsTheTrial(t *testing.T) {
	trial, all, _ := newTrial(t, "a")
	all["a"].answer = func(int, jobs.BenchRequest) (*jobs.BenchResult, error) {
		return nil, fault.New(fault.Missing, "looking for", "runtime ort", "it is not installed", "")
	}
	if _, err := trial.Run(t.Context(), progress.Noop); fault.Exit(err) != 3 {
		t.Errorf("got %v", err)
	}
}

// A trial that is cancelled in the middle goes on where it was, and ends in the
// samples that it would have had.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	whole, _, order := newTrial(t, "a", "b")
	want, err := whole.Run(t.Context(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun, all, _ := newTrial(t, "a", "b")
	begun.Dir = dir
	for _, f := range all {
		f.answer = func(_ int, r jobs.BenchRequest) (*jobs.BenchResult, error) {
			if len(begun.out.Samples) == 10 {
				cancel()
			}
			return steady(r, 10), nil
		}
	}
	if _, err := begun.Run(ctx, progress.Noop); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	// The kill came while a turn was written: its second line is cut off.
	path := filepath.Join(dir, SamplesFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)-30], 0o644); err != nil {
		t.Fatal(err)
	}
	rest, _, log := newTrial(t, "a", "b")
	rest.Dir = dir
	got, err := rest.Run(t.Context(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if got.Resumed != 8 || len(*log) != 8 || len(got.Samples) != 24 || !slices.Equal((*log), (*order)[4:]) {
		t.Errorf("%d samples were there, %d turns taken, %d samples in the end", got.Resumed, len(*log), len(got.Samples))
	}
	if fmt.Sprint(got.Samples) != fmt.Sprint(want.Samples) {
		t.Errorf("samples\n%v\nwithout a break\n%v", got.Samples, want.Samples)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	kept, err := bench.ReadSamples(f, path)
	if err != nil || fmt.Sprint(kept) != fmt.Sprint(want.Samples) {
		t.Errorf("the file has %d samples, %v", len(kept), err)
	}
	for _, name := range []string{RowsFile, MachineFile, RequestFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// Another trial in the same directory is refused with what differs, unless it may
// begin again.
func TestAnotherTrialIsRefused(t *testing.T) {
	trial, _, _ := newTrial(t, "a")
	trial.Dir = t.TempDir()
	if _, err := trial.Run(t.Context(), progress.Noop); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Trial){
		"seed was 5, is 6":      func(o *Trial) { o.Seed = 6 },
		"engine a was":          func(o *Trial) { o.Systems[0].Key = "other" },
		"scenario long changed": func(o *Trial) { o.Cases[1].PromptTokens = 9 },
		"engine b is new":       func(o *Trial) { o.Systems = append(o.Systems, o.Systems[0]); o.Systems[1].Name = "b" },
	} {
		other, _, _ := newTrial(t, "a")
		other.Dir = trial.Dir
		change(other)
		if _, err := other.Run(t.Context(), progress.Noop); fault.Exit(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	// Samples of another machine are not gone on with.
	path := filepath.Join(trial.Dir, MachineFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), `"cpu": "`, `"cpu": "Another `, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	moved, _, _ := newTrial(t, "a")
	moved.Dir = trial.Dir
	if _, err := moved.Run(t.Context(), progress.Noop); fault.Exit(err) != 2 || !strings.Contains(err.Error(), "taken on another machine: CPU: Another") {
		t.Errorf("on another machine: %v", err)
	}
	// Nor is what no benchmark left written over.
	for _, name := range []string{RowsFile, SamplesFile} {
		stranger, _, _ := newTrial(t, "a")
		stranger.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(stranger.Dir, name), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.Run(t.Context(), progress.Noop); fault.Exit(err) != 2 || !strings.Contains(err.Error(), "it holds a "+name) {
			t.Errorf("a directory with %s: %v", name, err)
		}
	}
	other, _, log := newTrial(t, "a")
	other.Dir, other.Seed, other.Afresh = trial.Dir, 6, true
	if out, err := other.Run(t.Context(), progress.Noop); err != nil || out.Resumed != 0 || len(*log) != 6 {
		t.Errorf("afresh: %+v, %v", out, err)
	}
	if err := os.WriteFile(filepath.Join(trial.Dir, RequestFile), []byte(`{"kind":"bench","schema_version":9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Run(t.Context(), progress.Noop); fault.Exit(err) != 4 {
		t.Errorf("a newer record: %v", err)
	}
}

// TestRequestFormat holds bench.json to the example of docs/formats.md: it is what a
// trial of that engine and scenario writes.
func TestRequestFormat(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "formats", "bench.json")
	old, err := readRequest(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	trial := &Trial{Cases: []bench.Case{{Scenario: profiles.Scenario{Name: "chat", Batch: 1, PromptTokens: 27, NewTokens: 8, Weight: 1}}},
		Systems: []System{{Name: "int8", Key: "5853d5ac3923e91301de1e0fb71fedd03d15aef16a24a449972b0c7f13b43f9d", Model: jobs.Model{Threads: 2}}}}
	trial.fill()
	got, err := fsx.JSON(request{Kind: "bench", SchemaVersion: RequestVersion, CreatedBy: old.CreatedBy, Inputs: trial.inputs()})
	if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
		t.Errorf("error %v, bench.json (-want +got):\n%s", err, diff)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(`{"kind":"bench","schema_version":1,"inputs":{"seed":"0"}}`)
	f.Add(`{"kind":"bench","schema_version":1,"inputs":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), RequestFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := readRequest(path)
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Errorf("class of %v", err)
			}
			return
		}
		if maps.Equal(r.Inputs, map[string]string{"seed": "1"}) != (differs(r.Inputs, map[string]string{"seed": "1"}) == "") {
			t.Errorf("%v: %q", r.Inputs, differs(r.Inputs, map[string]string{"seed": "1"}))
		}
	})
}

// With Until a noisy system has more turns than a quiet one, and no more than Most.
func TestUntil(t *testing.T) {
	trial, all, _ := newTrial(t, "quiet", "noisy")
	trial.Until, trial.Most = 0.01, 30
	all["noisy"].answer = func(_ int, r jobs.BenchRequest) (*jobs.BenchResult, error) {
		result := steady(r, 10)
		for i := range result.Samples {
			s := &result.Samples[i]
			s.E2E += float64((r.First+i)%5) * 2
			s.TTFT = s.E2E / 2
		}
		return result, nil
	}
	out, err := trial.Run(t.Context(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, s := range out.Samples {
		count[s.Engine+" "+s.Scenario]++
	}
	if want := map[string]int{"quiet short": 6, "quiet long": 6, "noisy short": 30, "noisy long": 30}; !maps.Equal(count, want) {
		t.Errorf("samples %v, want %v", count, want)
	}
	for _, c := range []string{"short", "long"} {
		want := regexp.MustCompile("^noisy, " + c + `: after 30 requests, the most that were allowed \(--most\), the median of (TTFT|TPOT|the whole request) is known within [0-9.e+]+ %, not 1 %$`)
		if !slices.ContainsFunc(out.Warnings, want.MatchString) {
			t.Errorf("nobody says %s: %q", want, out.Warnings)
		}
	}
	if len(out.Warnings) != 2 {
		t.Errorf("warnings %q", out.Warnings)
	}
}

func TestParseUntil(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "1%": 0.01, "0.02": 0.02, "2.5%": 0.025} {
		if got, err := ParseUntil(text); err != nil || math.Abs(got-want) > 1e-15 {
			t.Errorf("%q is %g, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "100%", "-1%", "soon", "NaN", "1%%", "1 %", "inf"} {
		if got, err := ParseUntil(text); err == nil {
			t.Errorf("%q is %g", text, got)
		}
	}
}

// Later turns know the level of earlier ones, so that their warm-up is short.
func TestWarmupKnowsTheLevel(t *testing.T) {
	trial, all, _ := newTrial(t, "a")
	if _, err := trial.Run(t.Context(), progress.Noop); err != nil {
		t.Fatal(err)
	}
	first, last := all["a"].asked[0], all["a"].asked[5]
	if len(first.Warmup.Steady) != 0 || last.Warmup.Steady["short"] < 10 || last.Warmup.Steady["short"] > 10.1 || !first.Keep || last.Keep {
		t.Errorf("first %+v, last %+v", first.Warmup, last.Warmup)
	}
}

func TestTrialsThatCannotBe(t *testing.T) {
	nothing := &Trial{}
	twins, _, _ := newTrial(t, "a", "b")
	twins.Systems[1].Name = "a"
	cases, _, _ := newTrial(t, "a")
	cases.Cases[1].Name = "short"
	for _, trial := range []*Trial{nothing, twins, cases} {
		if _, err := trial.Run(t.Context(), progress.Noop); fault.Exit(err) != 2 {
			t.Errorf("got %v", err)
		}
	}
}

func TestVocabulariesAreCompared(t *testing.T) {
	trial, _, _ := newTrial(t, "a", "b")
	trial.Systems[1].Model.Contract = &contract.Contract{Vocab: 6}
	out, err := trial.Run(t.Context(), progress.Noop)
	if err != nil || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "b has a vocabulary of 6 tokens, a of 5") {
		t.Errorf("%v, %v", out.Warnings, err)
	}
}
