package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/trtforge/trtforge/export"
)

// What was asked of building a plan of GPT-2 124M, against NVIDIA's Python builder
// called directly by a script that does no more than that: time, memory of all
// processes, and bytes that differ by 1 % at the most.
const (
	buildAsked  = 0.9
	buildPeak   = 1 / 1.2
	buildWithin = 0.99
	buildPairs  = 5
)

// buildFigures: the whole command, with an empty store, against the whole script. Our
// clock holds what the script has none of: the digests of the model and of the plan, the
// layers' proof and the seal.
func buildFigures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	dir := w.path("build")
	if err := export.Write(checkpoint, dir); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	graph, profiles := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "plan.json")
	cmd := exec.Command(binary, "profiles", "derive", graph, "--scenario", "chat=1x128+64", "--strategy", "phase", "-o", profiles, "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("deriving profiles: %w", err)
	}
	store, theirs := filepath.Join(dir, "store"), filepath.Join(dir, "theirs.plan")
	figures, err := compareLong(plan{
		name: "build-124m", unit: "ms", asked: buildAsked, pairs: buildPairs,
		ours:   func() (*side, error) { return self("build", graph, profiles, store) },
		anchor: func() (*side, error) { return self("anchor-build", graph, profiles, theirs) },
	}, buildPeak)
	if err != nil {
		return err
	}
	w.say(figures...)
	size, err := sameSize(store, theirs)
	if err == nil {
		w.say(size)
	}
	return err
}

// sameSize compares the plan in a store with theirs.
func sameSize(store, theirs string) (figure, error) {
	found, err := filepath.Glob(filepath.Join(store, "engines", "*", "*.plan"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s holds the plans %v, want one", store, found)
	}
	if err != nil {
		return figure{}, err
	}
	a, err := os.Stat(found[0])
	if err != nil {
		return figure{}, err
	}
	b, err := os.Stat(theirs)
	if err != nil {
		return figure{}, err
	}
	f := figure{name: "build-124m-bytes", unit: "MB", ours: float64(a.Size()) / 1e6, anchor: float64(b.Size()) / 1e6, asked: buildWithin}
	f.ratio = math.Min(f.ours/f.anchor, f.anchor/f.ours)
	f.lo, f.hi = f.ratio, f.ratio
	return f.judged(), nil
}

// buildSide builds with the command into a store that is new each time. Each side
// writes one plan: with -o ours would write a copy of it, too.
func buildSide(args []string) error {
	graph, profiles, store := args[0], args[1], args[2]
	return serveMemory(func() (time.Duration, float64, error) {
		if err := os.RemoveAll(store); err != nil {
			return 0, 0, err
		}
		return commanded(exec.Command(binary, "build", graph, "--plan", profiles, "--store", store, "-q"))
	})
}

// anchorBuildSide builds with rtx_build.py.
func anchorBuildSide(args []string) error {
	argv, err := pythonArgs("rtx", "rtx_build.py", args...)
	if err != nil {
		return err
	}
	return serveMemory(func() (time.Duration, float64, error) { return commanded(exec.Command(argv[0], argv[1:]...)) })
}

// commanded is the time and the memory of a whole program.
func commanded(cmd *exec.Cmd) (time.Duration, float64, error) {
	var said strings.Builder
	cmd.Stderr = &said
	start := time.Now()
	mb, err := watched(cmd)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, said.String())
	}
	return time.Since(start), mb, err
}
