package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// TestCalibrateCI executes examples/calibrate-ci on the demo model: the commands of
// its README that make the committed table, then every `run:` of the workflow, for
// each value of its matrix. Then it changes the committed table, and the last
// command must fail and say which tensor.
func TestCalibrateCI(t *testing.T) {
	testenv.ORT(t)
	home, err := runtimesHome()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := testenv.Root(t), t.TempDir()
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "examples", "demo", "model"), filepath.Join(dir, "model")); err != nil {
		t.Fatal(err)
	}
	write("calibrate.txt", testenv.DemoText(t, "calibrate"))
	write("evaluate.txt", testenv.DemoText(t, "evaluate"))
	run := func(script string) (string, error) {
		c := exec.Command("bash", "-euo", "pipefail", "-c", script)
		c.Dir, c.Env = dir, append(os.Environ(), "TRTFORGE_HOME="+home)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	readme := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(read(filepath.Join(root, "examples", "calibrate-ci", "README.md")))
	if readme == nil {
		t.Fatal("the README has no commands")
	}
	scripts := append([]string{readme[1]}, runsOf(t, read(filepath.Join(root, "examples", "calibrate-ci", "workflow.yml")))...)
	if len(scripts) != 1+3*3+1 {
		t.Fatalf("%d scripts: %q", len(scripts), scripts)
	}
	for _, s := range scripts {
		if out, err := run(s); err != nil {
			t.Fatalf("%s: %v\n%s", s, err, out)
		}
	}
	for _, name := range []string{"table.json", "calibration.html", "calibration.xml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	const tensor = "/h.0/ln_1/LayerNormalization_output_0"
	lock := read(filepath.Join(dir, "table.lock.json"))
	if read(filepath.Join(dir, "table.json")) != lock {
		t.Error("the merged parts gave another table than one job")
	}
	amax := regexp.MustCompile(`("` + regexp.QuoteMeta(tensor) + `": \{\s*"lo": \S+\s*"hi": \S+\s*"amax": )\S+,`)
	if !amax.MatchString(lock) {
		t.Fatalf("%s is not in the table", tensor)
	}
	write("table.lock.json", []byte(amax.ReplaceAllString(lock, "${1}0.01,")))
	out, err := run(scripts[len(scripts)-1])
	if err == nil || !strings.Contains(out, tensor) || !strings.Contains(out, "::error file=table.lock.json") {
		t.Errorf("a drift passed: %v\n%s", err, out)
	}
}

var (
	runLine    = regexp.MustCompile(`^(\s*)(?:- )?run: (.*)$`)
	matrixLine = regexp.MustCompile(`^\s*([a-z]+): \[([0-9, ]+)\]$`)
	jobLine    = regexp.MustCompile(`^  ([a-z]+):$`)
)

// runsOf is every script of a workflow in order, those of a job with a matrix for
// each of its values. It reads as much of YAML as the example needs.
func runsOf(t *testing.T, workflow string) (all []string) {
	t.Helper()
	key, values := "", []string{""}
	var job []string
	finish := func() {
		for _, v := range values {
			for _, s := range job {
				s = strings.ReplaceAll(s, "${{ matrix."+key+" }}", v)
				if strings.Contains(s, "${{") {
					t.Errorf("not filled in: %s", s)
				}
				all = append(all, s)
			}
		}
		key, values, job = "", []string{""}, nil
	}
	lines := strings.Split(workflow, "\n")
	for i := slices.Index(lines, "jobs:"); i < len(lines); i++ {
		if jobLine.MatchString(lines[i]) {
			finish()
		} else if m := matrixLine.FindStringSubmatch(lines[i]); m != nil {
			key, values = m[1], strings.Split(m[2], ", ")
		} else if m := runLine.FindStringSubmatch(lines[i]); m != nil && m[2] != "|" {
			job = append(job, m[2])
		} else if m != nil {
			var block []string
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], m[1]+"  ") {
				i++
				block = append(block, strings.TrimSpace(lines[i]))
			}
			job = append(job, strings.Join(block, "\n"))
		}
	}
	finish()
	return all
}
