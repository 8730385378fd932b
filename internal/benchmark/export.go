package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trtforge/trtforge/export"
)

// The models: GPT-2 124M, and GPT-2 XL of 1.5 billion parameters.
var (
	small = export.Shape{Layers: 12, Width: 768, Heads: 12, Vocab: 50257, Positions: 1024}
	large = export.Shape{Layers: 48, Width: 1600, Heads: 25, Vocab: 50257, Positions: 1024}
)

// peakAsked is what an export may take of memory, in MB.
const peakAsked = 300

// exportFigures: time against torch.onnx.export, and peak memory of the whole
// process at two sizes.
func exportFigures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	err = w.compare(plan{
		name: "export-124m", unit: "ms", asked: 8, reps: 1,
		ours:   func() (*side, error) { return self("export", checkpoint, w.path("ours")) },
		anchor: func() (*side, error) { return python("torch_export.py", checkpoint, w.path("torch.onnx")) },
	})
	if err != nil {
		return err
	}
	peak, err := exportPeak("export-124m-peak", checkpoint, w.path("ours"))
	if err != nil {
		return err
	}
	w.say(peak)
	// 1.5B parameters lie on disk: memory would not hold them twice.
	disk, err := os.MkdirTemp("", "trtforge-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(disk) }()
	xl := filepath.Join(disk, "gpt2-xl")
	if err := os.Mkdir(xl, 0o755); err != nil {
		return err
	}
	if err := export.Random(xl, large, 1); err != nil {
		return err
	}
	peak, err = exportPeak("export-1.5b-peak", xl, filepath.Join(disk, "out"))
	if err == nil {
		w.say(peak)
	}
	return err
}

// exportPeak is the largest resident size of one export.
func exportPeak(name, checkpoint, out string) (figure, error) {
	cmd := exec.Command(binary, "export", checkpoint, "-o", out, "--logits", "both", "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return figure{}, fmt.Errorf("exporting %s: %w", checkpoint, err)
	}
	return within(name, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1000, peakAsked), nil
}

// exportSide times the whole command, process start included.
func exportSide(args []string) error {
	checkpoint, out := args[0], args[1]
	return serve(func() (time.Duration, error) {
		cmd := exec.Command(binary, "export", checkpoint, "-o", out, "-q")
		cmd.Stderr = os.Stderr
		start := time.Now()
		err := cmd.Run()
		return time.Since(start), err
	})
}

// serve answers each line on standard input with the milliseconds of one run.
func serve(run func() (time.Duration, error)) error {
	return answer(func() (string, error) {
		d, err := run()
		return fmt.Sprint(milliseconds(d)), err
	})
}

// serveMemory adds the MB that the run took.
func serveMemory(run func() (time.Duration, float64, error)) error {
	return answer(func() (string, error) {
		d, mb, err := run()
		return fmt.Sprint(milliseconds(d), " ", mb), err
	})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func answer(run func() (string, error)) error {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text, err := run()
		if err != nil {
			return err
		}
		fmt.Println(text)
	}
	return lines.Err()
}
