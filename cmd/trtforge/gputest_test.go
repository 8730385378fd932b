package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/internal/testenv"
)

// gpuRow is a row of docs/gpu-verification.md: id, needs, statement, proved, command,
// expected. A bar within a cell is written \|.
var gpuRow = regexp.MustCompile("(?m)^\\| (G[0-9]+) \\| (\\w+) \\| (.+?) \\| (.+?) \\| `(.+?)` \\| `(.+)` \\|$")

// TestGPUChecksCanBeRun holds the table that scripts/gpu-test.sh reads to this
// program: every command parses, and what it asks of trtforge exists.
func TestGPUChecksCanBeRun(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "gpu-verification.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := gpuRow.FindAllStringSubmatch(string(b), -1)
	if n := strings.Count(string(b), "\n| G"); n != len(found) || n == 0 {
		t.Fatalf("%d rows of %d are well formed", len(found), n)
	}
	seen := map[string]bool{}
	root := newRootCommand(&globals{})
	for _, m := range found {
		id, needs, command, expected := m[1], m[2], m[5], strings.ReplaceAll(m[6], `\|`, "|")
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		if !strings.Contains("gpu trtexec trt triton", needs) {
			t.Errorf("%s needs %q, which the script does not know", id, needs)
		}
		if _, err := regexp.CompilePOSIX(expected); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if out, err := exec.Command("bash", "-n", "-c", command).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", id, err, out)
		}
		for _, part := range strings.Split(command, "bin/trtforge ")[1:] {
			asks(t, id, root, part)
		}
	}
}

// code is what stands in a cell as such.
var code = regexp.MustCompile("`([^`]+)`")

// TestGPUChecksByHandExist holds the commands that people type, in the tables and in the
// block above them, to this program.
func TestGPUChecksByHandExist(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "gpu-verification.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "\n## By hand")
	if !found {
		t.Fatal("there is no such part")
	}
	root := newRootCommand(&globals{})
	n := 0
	for _, line := range strings.Split(text, "\n") {
		spans := []string{strings.TrimPrefix(line, "    ")}
		if !strings.HasPrefix(line, "    trtforge ") {
			spans = nil
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				spans = append(spans, m[1])
			}
		}
		for _, span := range spans {
			for _, one := range strings.Split(span, "; ") {
				if _, command, ok := strings.Cut(one, "trtforge "); ok && !strings.HasPrefix(one, "docs/") {
					n++
					asks(t, line, root, command)
				}
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d commands were found", n)
	}
}

// asks sees that a command line's command and flags exist.
func asks(t *testing.T, id string, root *cobra.Command, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " && ")
	words := strings.Fields(strings.Trim(line, `"`))
	c, rest, err := root.Find(words)
	if err != nil || c == root {
		t.Errorf("%s: trtforge %s: %v", id, line, err)
		return
	}
	for _, w := range rest {
		name, long := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if long && c.Flag(name) == nil && root.PersistentFlags().Lookup(name) == nil {
			t.Errorf("%s: trtforge %s has no flag --%s", id, c.Name(), name)
		}
	}
}

// TestGPUScript plays a machine with a GPU, and one without.
func TestGPUScript(t *testing.T) {
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join(testenv.Root(t), "scripts", "gpu-test.sh"))
	if err != nil {
		t.Fatal(err)
	}
	table := "| id | needs |\n| G01 | gpu | good | p | `echo driver 580` | `driver [0-9]` |\n| G02 | gpu | either | p | `sh -c \"echo b; exit 0\"` | `a\\|b` |\n" +
		"| G03 | nothing-like-it | lacking | p | `false` | `x` |\n"
	for name, text := range map[string]string{"scripts/gpu-test.sh": string(script), "docs/gpu-verification.md": table,
		"bin/trtforge": "#!/bin/sh\necho trtforge 1.0\n", "gpu/nvidia-smi": "#!/bin/sh\necho 'NVIDIA L4, 8.9, 580.65'\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(path string) (string, int) {
		c := exec.Command("bash", filepath.Join(dir, "scripts", "gpu-test.sh"))
		c.Env = append(os.Environ(), "PATH="+path)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return string(out), exit.ExitCode()
		}
		return string(out), 0
	}
	with := filepath.Join(dir, "gpu") + ":" + os.Getenv("PATH")
	out, status := run(with)
	for _, want := range []string{"NVIDIA L4, 8.9, 580.65", "| G01 | good | pass |", "| G02 | either | pass |", "| G03 | lacking | skipped: nothing-like-it is not here |", "$ echo driver 580"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
	bad := table + "| G04 | gpu | bad | p | `echo c` | `a` |\n"
	if err := os.WriteFile(filepath.Join(dir, "docs", "gpu-verification.md"), []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, status := run(with); status != 1 || !strings.Contains(out, "| G04 | bad | FAIL (status 0) |") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if _, err := os.Stat("/proc/driver/nvidia"); err == nil {
		return
	}
	if out, status := run(os.Getenv("PATH")); status != 3 || !strings.Contains(out, "no NVIDIA GPU answers") {
		t.Errorf("without a GPU: status %d:\n%s", status, out)
	}
}
