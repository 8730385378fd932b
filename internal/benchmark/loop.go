package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// What lm.Decoder may add to the time of ONNX Runtime's own run of a step of GPT-2
// 124M, in percent, and how many answers the figure is made of.
const (
	loopAsked = 2
	loopRuns  = 15
)

// loopFigures: what feeding a step and choosing its token take beside the run, and
// what they allocate in Go.
func loopFigures(w *workshop) error {
	_, graph, built, remove, err := w.floatEngine("loop")
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	ours := func(what string) func() (*side, error) {
		return func() (*side, error) {
			return self("loop", built, graph, "decode", strconv.Itoa(depth), strconv.Itoa(steps), strconv.Itoa(ort.Threads()), what)
		}
	}
	if err := overhead("loop-overhead", loopAsked, loopRuns, ours("time"), w); err != nil {
		return err
	}
	s, err := ours("allocations")()
	if err != nil {
		return err
	}
	defer s.close()
	f := figure{name: "loop-allocations", unit: "/token", ratio: 1, asked: 1, note: "none are asked"}
	if f.ours, err = sample(s, 2); err != nil {
		return err
	}
	if f.ours > 0 {
		f.ratio = 0
	}
	f.lo, f.hi = f.ratio, f.ratio
	w.say(f.judged())
	return nil
}

// overhead is a figure of a side that answers percent, which have to stay below
// those asked.
func overhead(name string, asked float64, runs int, ours func() (*side, error), w *workshop) error {
	s, err := ours()
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := sample(s, 2); err != nil { // warm
		return err
	}
	var percents, ratios []float64
	for range runs {
		percent, err := sample(s, 1)
		if err != nil {
			return err
		}
		percents, ratios = append(percents, percent), append(ratios, asked/percent)
	}
	w.say(judge(figure{name: name, unit: "%", ours: median(percents), anchor: asked, asked: 1}, ratios))
	return nil
}

// timed is a session that adds up the time inside of its runs.
type timed struct {
	lm.Session
	inside time.Duration
}

// Bind is the session's, with a clock.
func (s *timed) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	b, err := s.Session.Bind(in, out)
	return &timedRun{b, s}, err
}

type timedRun struct {
	lm.Bound
	s *timed
}

// Run adds its time to the session's.
func (r *timedRun) Run() error {
	start := time.Now()
	err := r.Bound.Run()
	r.s.inside += time.Since(start)
	return err
}

// loopSide answers by how many percent steps took longer than their runs, or how
// many allocations one made.
func loopSide(args []string) error {
	clock := &timed{}
	wrap := func(s lm.Session) lm.Session {
		clock.Session = s
		return clock
	}
	return withDecoder(args, wrap, func(d *lm.Decoder, _ string, tokens, times int) error {
		begin, step := prefillsOf(d, tokens, 1), stepOf(d)
		var before, after runtime.MemStats
		return answer(func() (string, error) {
			if _, err := begin(); err != nil {
				return "", err
			}
			runtime.ReadMemStats(&before)
			clock.inside = 0
			start := time.Now()
			for range times {
				if err := step(); err != nil {
					return "", err
				}
			}
			whole := time.Since(start)
			runtime.ReadMemStats(&after)
			if args[6] == "allocations" {
				return fmt.Sprint(float64(after.Mallocs-before.Mallocs) / float64(times)), nil
			}
			return fmt.Sprint(100 * float64(whole-clock.inside) / float64(clock.inside)), nil
		})
	})
}
