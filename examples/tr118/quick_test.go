package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/testenv"
)

// asProgram makes the test binary the program, which a test can then kill.
const asProgram = "TR118_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == ort.Command {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the command in a directory that has texts; where it works is out.
func program(ctx context.Context, t *testing.T, out string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	toml, err := os.ReadFile("study.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, part := range []string{"calibrate", "evaluate"} {
		if err := os.WriteFile(filepath.Join(dir, part+".txt"), testenv.DemoText(t, part), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "study.toml")
	text := strings.NewReplacer("../../build/demo/text/", dir+"/", "../demo/model", filepath.Join(testenv.Root(t), "examples", "demo", "model")).Replace(string(toml))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"-study", file, "-o", out}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	return cmd, &talk
}

// samplesIn are the samples of all models below a directory, whole lines only.
func samplesIn(t *testing.T, out string) map[string][]bench.Sample {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "results", "*", "samples.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]bench.Sample{}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		samples, _, err := bench.RecoverSamples(bytes.NewReader(b), path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(path))] = samples
	}
	return all
}

// check holds samples to what was asked for: every engine, scenario and mode as often
// as it says, and no failure.
func check(t *testing.T, s *study, all map[string][]bench.Sample) {
	t.Helper()
	for _, m := range s.Models {
		counts := map[cell]int{}
		for _, x := range all[m.Name] {
			counts[cellOf(x)]++
			if x.Failure != nil {
				t.Errorf("%s, %v: %s: %s", m.Name, cellOf(x), x.Failure.Class, x.Failure.Cause)
			}
		}
		for _, e := range s.Measure.Engines {
			for _, c := range s.Workload.Scenarios {
				for _, mode := range s.Measure.Modes {
					if n := counts[cell{e, c.Name, mode}]; n != s.Measure.Repetitions {
						t.Errorf("%s, %s, %s, %s: %d requests, want %d", m.Name, e, c.Name, mode, n, s.Measure.Repetitions)
					}
				}
			}
		}
	}
}

// The quick form runs end to end, killed once in the middle: the second run keeps what
// the first measured. With TRTFORGE_FULL=1 it is the whole study.
func TestQuickAndAgainFromHalf(t *testing.T) {
	testenv.ORT(t)
	testenv.Python(t, "reference")
	args, limit := []string{"-quick", "-models", "0.1M,5M", "-scenarios", "single_micro", "-engines", "torch,ortcpu-fp32,ortcpu-int8"}, 20*time.Minute
	if os.Getenv("TRTFORGE_FULL") != "" {
		args, limit = nil, 80*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out := filepath.Join(t.TempDir(), "out")
	s, err := parse(append([]string{"-study", "study.toml"}, args...), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	half := len(s.Models) * len(cases(s.Workload.Scenarios, s.Measure.Modes)) * len(s.Measure.Engines) * s.Measure.Repetitions / 2
	kept := killedAt(ctx, t, out, half, args)

	cmd, talk := program(ctx, t, out, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, talk)
	}
	after := samplesIn(t, out)
	check(t, s, after)
	for name, before := range kept {
		for i, x := range before {
			if y := after[name][i]; x.E2E != y.E2E || cellOf(x) != cellOf(y) {
				t.Fatalf("%s: sample %d was measured again", name, i)
			}
		}
	}
	if !strings.Contains(talk.String(), "were there already") {
		t.Errorf("the second run does not say that it goes on:\n%s", talk)
	}
	b, err := os.ReadFile(filepath.Join(out, "comparison.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0 failed", "## Crossover", "## What was lost", "fitted here | prefill | 9 | -0.506", "on stand in evaluate.txt, too", "not evaluated, needs a GPU"} {
		if !strings.Contains(strings.Join(strings.Fields(string(b)), " "), want) { // columns line up
			t.Errorf("the comparison does not say %q", want)
		}
	}
}

// killedAt starts the program, kills it once half of its requests are written and
// gives what it left.
func killedAt(ctx context.Context, t *testing.T, out string, half int, args []string) map[string][]bench.Sample {
	t.Helper()
	cmd, talk := program(ctx, t, out, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			t.Fatalf("it ended before it was killed: %v\n%s", err, talk)
		case <-time.After(20 * time.Millisecond):
		}
		n := 0
		for _, s := range samplesIn(t, out) {
			n += len(s)
		}
		if n >= half {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Fatal("it ended before it was killed")
	}
	kept := samplesIn(t, out)
	for name, s := range kept { // the last turn may lack requests, and is taken again
		kept[name] = s[:max(0, len(s)-3)]
	}
	return kept
}
