package main

import (
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
	s, err := self("loop", built, graph, "decode", strconv.Itoa(depth), strconv.Itoa(steps), strconv.Itoa(ort.Threads()))
	if err != nil {
		return err
	}
	defer s.close()
	if err := warmUp(s, 1); err != nil {
		return err
	}
	var ours, ratios []float64
	s.peak = 0
	for range loopRuns {
		percent, err := sample(s, 1)
		if err != nil {
			return err
		}
		ours, ratios = append(ours, percent), append(ratios, loopAsked/percent)
	}
	overhead := judge(figure{name: "loop-overhead", unit: "%", ours: median(ours), anchor: loopAsked, asked: 1}, ratios)
	allocated := figure{name: "loop-allocations", unit: "/token", ours: s.peak, ratio: 1, lo: 1, hi: 1, asked: 1, note: "none are asked"}
	if s.peak > 0 {
		allocated.ratio, allocated.lo, allocated.hi = 0, 0, 0
	}
	w.say(overhead, allocated.judged())
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

// loopSide answers by how many percent steps took longer than their runs, and how
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
			percent := 100 * float64(whole-clock.inside) / float64(clock.inside)
			allocations := (after.Mallocs - before.Mallocs) / uint64(times)
			return strconv.FormatFloat(percent, 'g', -1, 64) + " " + strconv.FormatUint(allocations, 10), nil
		})
	})
}
