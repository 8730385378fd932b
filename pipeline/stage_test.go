package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// a bench of fake stages: source -> graph -> engine/a, each of which joins what
// it reads. ran are the stages that ran.
type fakes struct {
	dir, source   string
	revision      int
	params        map[string]string
	fail          map[string]error
	runtime       string // of engine/a
	missing       map[string]bool
	ran, inquired []string
}

func newFakes(t *testing.T) *fakes {
	t.Helper()
	f := &fakes{dir: filepath.Join(t.TempDir(), "out"), source: filepath.Join(t.TempDir(), "source"), revision: 1,
		params: map[string]string{"strategy": "wide"}, fail: map[string]error{}, missing: map[string]bool{}}
	write(t, f.source, "weights")
	return f
}

// Get makes the fakes their own Runtimes.
func (f *fakes) Get(_ context.Context, name string) (runtimes.Runtime, error) {
	f.inquired = append(f.inquired, name)
	if f.missing[name] {
		return runtimes.Runtime{}, fault.New(fault.Missing, "looking for", name, "it is not installed", "install it")
	}
	return runtimes.Runtime{Name: name}, nil
}

// job lays out the stages anew, as another process would.
func (f *fakes) job() *job {
	c := &Config{Output: OutputConfig{Dir: f.dir}}
	j := &job{config: c, options: Options{CreatedBy: author, Log: slog.New(slog.DiscardHandler), Runtimes: f}}
	graph := j.add(&stage{name: "graph", revision: f.revision, files: map[string]string{"source": f.source}, params: f.params, run: f.joins("graph", f.source)})
	half := j.add(&stage{name: "quantize/half", revision: 1, needs: []*stage{graph}, run: f.joins("quantize/half", graph.path("graph"))})
	j.add(&stage{name: "engine/a", revision: 1, runtime: f.runtime, needs: []*stage{graph, half}, run: f.joins("engine/a", half.path("half"))})
	return j
}

// joins is a stage's work: what it read, and one line more.
func (f *fakes) joins(name, from string) func(context.Context, string, progress.Counter) error {
	return func(_ context.Context, dir string, _ progress.Counter) error {
		f.ran = append(f.ran, name)
		if err := f.fail[name]; err != nil {
			_ = os.WriteFile(filepath.Join(dir, "half-written"), nil, 0o644)
			return err
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, filepath.Base(name)), append(b, '\n'), 0o644)
	}
}

// run goes through the stages as Run does and returns those that ran.
func (f *fakes) run(t *testing.T) []string {
	t.Helper()
	ran, err := f.try(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

func (f *fakes) try(ctx context.Context) ([]string, error) {
	f.ran = nil
	j := f.job()
	unlock, err := lock(ctx, f.dir, j.options.Log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := j.preflight(ctx); err != nil {
		return nil, err
	}
	for _, s := range j.stages {
		if err := j.step(ctx, s); err != nil {
			return f.ran, err
		}
	}
	return f.ran, nil
}

func (f *fakes) sidecar(name string) string {
	return filepath.Join(f.dir, "stages", filepath.FromSlash(name), sidecarName)
}

var all = []string{"graph", "quantize/half", "engine/a"}

func TestWhatRunsAgain(t *testing.T) {
	edit := func(stage, before, after string) func(*testing.T, *fakes) {
		return func(t *testing.T, f *fakes) {
			b, err := os.ReadFile(f.sidecar(stage))
			if err != nil || !strings.Contains(string(b), before) {
				t.Fatalf("no %q in %s, %v", before, b, err)
			}
			write(t, f.sidecar(stage), strings.Replace(string(b), before, after, 1))
		}
	}
	for name, test := range map[string]struct {
		change func(t *testing.T, f *fakes)
		want   []string
		why    string // of the first stage that runs
	}{
		"nothing": {func(*testing.T, *fakes) {}, nil, ""},
		"mtime": {func(t *testing.T, f *fakes) {
			if err := os.Chtimes(f.source, time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, nil, ""},
		"another name": {func(t *testing.T, f *fakes) {
			if err := os.Rename(f.source, f.source+"2"); err != nil {
				t.Fatal(err)
			}
			f.source += "2"
		}, nil, ""},
		"another output directory": {func(t *testing.T, f *fakes) {
			if err := os.Rename(f.dir, f.dir+"2"); err != nil {
				t.Fatal(err)
			}
			f.dir += "2"
		}, nil, ""},
		"bytes":          {func(t *testing.T, f *fakes) { write(t, f.source, "weightz") }, all, "file source changed"},
		"bytes cut":      {func(t *testing.T, f *fakes) { write(t, f.source, "") }, all, "file source changed"},
		"parameter":      {func(_ *testing.T, f *fakes) { f.params["strategy"] = "phase" }, []string{"graph"}, "strategy was wide, is phase"},
		"new parameter":  {func(_ *testing.T, f *fakes) { f.params["reach"] = "any" }, []string{"graph"}, "new input reach"},
		"less parameter": {func(_ *testing.T, f *fakes) { delete(f.params, "strategy") }, []string{"graph"}, "strategy is no longer an input"},
		"revision":       {func(_ *testing.T, f *fakes) { f.revision = 2 }, []string{"graph"}, "revision was 1, is 2"},
		"output changed": {func(t *testing.T, f *fakes) { write(t, filepath.Join(f.dir, "stages/quantize/half/half"), "x") }, []string{"quantize/half"}, "half was changed"},
		"output gone": {func(t *testing.T, f *fakes) {
			if err := os.Remove(filepath.Join(f.dir, "stages/engine/a/a")); err != nil {
				t.Fatal(err)
			}
		}, []string{"engine/a"}, "a is missing"},
		"sidecar gone": {func(t *testing.T, f *fakes) {
			if err := os.Remove(f.sidecar("graph")); err != nil {
				t.Fatal(err)
			}
		}, []string{"graph"}, "not made yet"},
		"sidecar empty":               {func(t *testing.T, f *fakes) { write(t, f.sidecar("graph"), "") }, []string{"graph"}, "its record is unreadable"},
		"sidecar garbage":             {func(t *testing.T, f *fakes) { write(t, f.sidecar("graph"), "\x00{]") }, []string{"graph"}, "its record is unreadable"},
		"sidecar null":                {func(t *testing.T, f *fakes) { write(t, f.sidecar("graph"), "null") }, []string{"graph"}, "its record is unreadable"},
		"sidecar of another":          {edit("graph", `"kind": "stage"`, `"kind": "rows"`), []string{"graph"}, "its record is unreadable"},
		"sidecar from past":           {edit("graph", `"key": "`, `"key": "0`), []string{"graph"}, "its record is of another program"},
		"sidecar names files outside": {edit("graph", `"graph": "`, `"../../../source": "`), []string{"graph"}, "its record names a file outside of it"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t)
			if ran := f.run(t); !cmp.Equal(ran, all) {
				t.Fatalf("at first ran %v", ran)
			}
			test.change(t, f)
			steps, err := f.job().survey()
			if err != nil {
				t.Fatal(err)
			}
			why := ""
			for _, s := range steps {
				if !s.Cached {
					why = s.Why
					break
				}
			}
			if why != test.why {
				t.Errorf("said to run for %q, want %q", why, test.why)
			}
			if ran := f.run(t); !cmp.Equal(ran, test.want) {
				t.Errorf("ran %v, want %v", ran, test.want)
			}
			if ran := f.run(t); ran != nil {
				t.Errorf("and again %v", ran)
			}
		})
	}
}

// What stands behind a stage that will run is to do as well, though the run may
// find its inputs unchanged.
func TestPlanOfWhatFollows(t *testing.T) {
	f := newFakes(t)
	f.run(t)
	f.params["strategy"] = "phase"
	before, err := fsx.Digests(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := f.job().survey()
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{{Stage: "graph", Why: "strategy was wide, is phase"}, {Stage: "quantize/half", Why: "graph runs before it"}, {Stage: "engine/a", Why: "graph runs before it"}}
	if d := cmp.Diff(want, steps); d != "" {
		t.Error(d)
	}
	after, err := fsx.Digests(f.dir)
	if err != nil || !cmp.Equal(before, after) {
		t.Errorf("a plan changed files: %v", cmp.Diff(before, after))
	}
}

func TestStageThatFailsLeavesNothingAndResumes(t *testing.T) {
	f := newFakes(t)
	broken := errors.New("broken")
	f.fail["quantize/half"] = broken
	ran, err := f.try(t.Context())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "stage quantize/half") || !cmp.Equal(ran, all[:2]) {
		t.Fatalf("ran %v, %v", ran, err)
	}
	left, err := fsx.Digests(filepath.Join(f.dir, "stages", "quantize"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	delete(f.fail, "quantize/half")
	if ran := f.run(t); !cmp.Equal(ran, all[1:]) {
		t.Errorf("resumed with %v", ran)
	}
}

// A stage that ran to its end after the signal does not count as done: nobody
// knows what it left out.
func TestSignalEndsTheRun(t *testing.T) {
	f := newFakes(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := fault.New(fault.Interrupt, "", "", "stopped", "")
	j := f.job()
	s := j.stages[0]
	run := s.run
	s.run = func(ctx context.Context, dir string, p progress.Counter) error {
		cancel(stopped)
		return run(ctx, dir, p)
	}
	if err := j.step(ctx, s); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the stage was kept")
	}
}

func TestMissingRuntimeIsSaidBeforeAnythingRuns(t *testing.T) {
	f := newFakes(t)
	f.runtime, f.missing["rtx"] = "rtx", true
	ran, err := f.try(t.Context())
	if fault.Exit(err) != 3 || ran != nil {
		t.Errorf("ran %v, %v", ran, err)
	}
	f.missing["rtx"] = false
	f.run(t)
	f.inquired, f.missing["rtx"] = nil, true
	if ran := f.run(t); ran != nil || f.inquired != nil {
		t.Errorf("a run that only verifies ran %v and asked for %v", ran, f.inquired)
	}
}

func TestSweepOfWhatAKillLeft(t *testing.T) {
	f := newFakes(t)
	f.run(t)
	before, err := fsx.Digests(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", "stages", "stages/engine", "stages/quantize"} {
		half := filepath.Join(f.dir, filepath.FromSlash(d), fsx.TempPrefix+"b-1")
		if err := os.Mkdir(half, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(half, "model.onnx"), "half")
	}
	f.run(t)
	after, err := fsx.Digests(f.dir)
	if err != nil || !cmp.Equal(before, after) {
		t.Errorf("after the sweep: %v, %v", cmp.Diff(before, after), err)
	}
}

func TestSecondRunWaits(t *testing.T) {
	f := newFakes(t)
	unlock, err := lock(t.Context(), f.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(f.dir, fsx.TempPrefix+"of the first")
	write(t, half, "")
	var said strings.Builder
	held := make(chan error)
	go func() {
		again, err := lock(t.Context(), f.dir, slog.New(slog.NewTextHandler(&said, nil)))
		if err == nil {
			again()
		}
		held <- err
	}()
	select {
	case err := <-held:
		t.Fatalf("the second run did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if _, err := os.Stat(half); err != nil {
		t.Errorf("the second run swept what the first one writes: %v", err)
	}
	unlock()
	if err := <-held; err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), "waiting") {
		t.Errorf("it did not say why it waits: %q", &said)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	unlock, err := lock(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, dir, log); err == nil || fault.Exit(err) != 5 {
		t.Errorf("got %v", err)
	}
}

func TestARecordOfALaterProgramIsLeftAlone(t *testing.T) {
	f := newFakes(t)
	f.run(t)
	for _, stage := range []string{"graph", "engine/a"} {
		b, err := os.ReadFile(f.sidecar(stage))
		if err != nil {
			t.Fatal(err)
		}
		write(t, f.sidecar(stage), strings.Replace(string(b), `"schema_version": 1`, `"schema_version": 2`, 1))
	}
	ran, err := f.try(t.Context())
	if len(ran) > 0 || fault.Classify(err) != fault.Input {
		t.Fatalf("%v ran, %v", ran, err)
	}
	for _, stage := range []string{"graph", "engine/a"} {
		if !strings.Contains(err.Error(), f.sidecar(stage)) {
			t.Errorf("%v does not name %s", err, f.sidecar(stage))
		}
	}
}
