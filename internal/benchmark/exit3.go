package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/export"
)

// exit3Asked is what a command may take to say that the machine lacks something, in
// seconds, best of three.
const exit3Asked = 2

// exit3Figures are the commands that need a GPU on a machine without one. On one that
// has everything there is nothing to measure.
func exit3Figures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	graph := w.path("exit3")
	if err := export.Write(checkpoint, graph); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(graph) }()
	plan, store := filepath.Join(graph, "plan.json"), filepath.Join(graph, "store")
	cmd := exec.Command(binary, "profiles", "derive", graph, "--scenario", "chat=1x128+64", "--strategy", "wide", "-o", plan, "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("deriving profiles: %w", err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"exit3-doctor-trt", []string{"doctor", "--need", "trt"}},
		{"exit3-build-orttrt", []string{"build", graph, "--backend", "orttrt", "--plan", plan, "--store", store}},
		{"exit3-build-trtexec", []string{"build", graph, "--backend", "trtexec", "--plan", plan, "--store", store}},
	} {
		best := math.Inf(1)
		for range 3 {
			begun := time.Now()
			err := exec.Command(binary, c.args...).Run()
			var status *exec.ExitError
			switch {
			case err == nil:
				return fmt.Errorf("%s: this machine lacks nothing", c.name)
			case !errors.As(err, &status) || status.ExitCode() != 3:
				return fmt.Errorf("%s: status 3 is expected, not: %w", c.name, err)
			}
			best = min(best, time.Since(begun).Seconds())
		}
		w.say(figure{name: c.name, unit: "s", ours: best, anchor: exit3Asked, ratio: exit3Asked / best, lo: exit3Asked / best, hi: exit3Asked / best, asked: 1,
			note: "best of three"}.judged())
	}
	return nil
}
