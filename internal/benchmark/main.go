// Benchmark measures trtforge against the tool that people would use instead,
// in one run, as a ratio:
//
//	make bench              # every figure
//	make bench B=export     # those whose name begins with it
//
// Each line is NAME ours anchor unit ratio lo hi asked verdict: ratio says how
// many times better ours is, [lo, hi] is its 95 % interval, asked what was
// promised. The verdict is ok (the median reaches it), short (the whole interval
// lies below), noisy, or "informs" where nothing was promised. Each side runs in its
// own process, the other stopped. Figures whose anchor takes a minute a run come from
// fewer pairs, and say so: of them [lo, hi] is the whole range, not an interval.
// A short figure is exit status 1.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "side" {
		exit(runSide(os.Args[2:]))
	}
	flag.Parse()
	exit(measure(flag.Arg(0)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// group is figures that are measured together because they share a model.
type group struct {
	name string
	run  func(w *workshop) error // says each figure as soon as it is known
}

var groups = []group{
	{"export", exportFigures},
	{"prefill", prefillFigures},
	{"decode", decodeFigures},
	{"loop", loopFigures},
	{"validate", validateFigures},
	{"static-decode", staticFigures},
	{"engine", engineFigures},
	{"build", buildFigures},
	{"trace", traceFigures},
	{"calibrate", calibrateFigures},
	{"int8", int8Figures},
	{"size", sizeFigures},
	{"exit3", exit3Figures},
}

// measure prints the figures of the groups whose name begins with prefix.
func measure(prefix string) error {
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	defer w.close()
	go w.interrupted()
	fmt.Printf("%-34s %12s %12s %-6s %8s %8s %8s %6s %s\n", "NAME", "ours", "anchor", "unit", "ratio", "lo", "hi", "asked", "verdict")
	known := false
	for _, g := range groups {
		if !strings.HasPrefix(g.name, prefix) {
			continue
		}
		known = true
		if err := g.run(w); err != nil {
			w.short = append(w.short, fmt.Errorf("measuring %s: %w", g.name, err))
		}
	}
	if !known {
		return fmt.Errorf("no figure begins with %q", prefix)
	}
	return errors.Join(w.short...)
}

// workshop is where models lie while they are measured: in memory, so that the
// disk is outside of every clock.
type workshop struct {
	dir   string
	short []error // figures that fall short, and what could not be measured
}

// say prints figures, and keeps those that fall short.
func (w *workshop) say(figures ...figure) {
	for _, f := range figures {
		fmt.Println(f)
		if f.verdict == "short" {
			w.short = append(w.short, fmt.Errorf("%s falls short: %.3f of %.2f asked", f.name, f.ratio, f.asked))
		}
	}
}

// compare measures and says one figure.
func (w *workshop) compare(p plan) error {
	f, err := compare(p)
	if err == nil {
		w.say(f)
	}
	return err
}

func newWorkshop() (*workshop, error) {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "trtforge-bench-*")
	return &workshop{dir: dir}, err
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

// interrupted takes gigabytes of memory back before a signal ends the program; the
// sides die with it.
func (w *workshop) interrupted() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	<-c
	w.close()
	os.Exit(130)
}

func (w *workshop) close() { _ = os.RemoveAll(w.dir) }
