package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/perf/benchmath"
)

// figure is a result as it is printed: ratio says how many times better ours is.
type figure struct {
	name, unit    string
	ours, anchor  float64
	ratio, lo, hi float64
	asked         float64 // 0 = nothing was asked, the figure informs
	verdict       string
	note          string // how it was measured, where not as the others were
}

func (f figure) String() string {
	if f.verdict == "" {
		return fmt.Sprintf("%-34s %12.4g %12s %-6s %8s %8s %8s %6s -", f.name, f.ours, "-", f.unit, "-", "-", "-", "-")
	}
	line := fmt.Sprintf("%-34s %12.4g %12.4g %-6s %8.3f %8.3f %8.3f %6.2f %s",
		f.name, f.ours, f.anchor, f.unit, f.ratio, f.lo, f.hi, f.asked, f.verdict)
	if f.note != "" {
		line += " (" + f.note + ")"
	}
	return line
}

// The numbers of design.md, "How a figure is measured".
const (
	steadyMedians = 10   // that must agree before the clock counts
	steadyWithin  = 0.05 // of each other
	warmUpMost    = 150  // repetitions, and a minute; a machine that never settles is noisy, not endless
	warmUpTime    = time.Minute
	pairs         = 7
	tries         = 3
	tryTime       = 4 * time.Minute
	longRun       = 2000.0 // milliseconds of a repetition that is its own warm-up
)

// plan is a comparison to be made.
type plan struct {
	name, unit   string
	asked        float64
	reps         int // repetitions behind one number of a pair
	pairs        int // of compareLong; compare takes seven
	ours, anchor func() (*side, error)
}

// compare measures until the verdict is not noisy: three tries, and no further one
// where those so far took most of a figure's ten minutes.
func compare(p plan) (f figure, err error) {
	begun := time.Now()
	for range tries {
		if f, err = p.once(); err != nil || f.verdict != "noisy" || time.Since(begun) > tryTime {
			return f, err
		}
	}
	return f, nil
}

// once warms both sides up and takes ABBA pairs, the other side stopped.
func (p plan) once() (figure, error) {
	f := figure{name: p.name, unit: p.unit, asked: p.asked}
	ours, err := p.ours()
	if err != nil {
		return f, err
	}
	defer ours.close()
	ours.stop()
	anchor, err := p.anchor()
	if err != nil {
		return f, err
	}
	defer anchor.close()
	anchor.stop()
	for _, s := range []*side{ours, anchor} {
		if err := warmUp(s, p.reps); err != nil {
			return f, err
		}
	}
	var mine, theirs, ratios []float64
	for i := range pairs {
		order := []*side{ours, anchor, anchor, ours}
		if i%2 == 1 {
			order = []*side{anchor, ours, ours, anchor}
		}
		var a, b float64
		for _, s := range order {
			ms, err := sample(s, p.reps)
			if err != nil {
				return f, err
			}
			if s == ours {
				a += ms / 2
			} else {
				b += ms / 2
			}
		}
		mine, theirs, ratios = append(mine, a), append(theirs, b), append(ratios, b/a)
	}
	f.ours, f.anchor = median(mine), median(theirs)
	return judge(f, ratios), nil
}

// judge gives the median ratio, its 95 % interval and the verdict.
func judge(f figure, ratios []float64) figure {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(ratios, &benchmath.DefaultThresholds), 0.95)
	f.ratio, f.lo, f.hi = s.Center, s.Lo, s.Hi
	return f.judged()
}

// judged is f with the verdict on its ratio.
func (f figure) judged() figure {
	switch {
	case f.asked == 0:
		f.verdict = "informs"
	case f.ratio >= f.asked:
		f.verdict = "ok"
	case f.hi < f.asked:
		f.verdict = "short"
	default:
		f.verdict = "noisy"
	}
	return f
}

// sample is the median of reps repetitions with only that side running.
func sample(s *side, reps int) (float64, error) {
	s.cont()
	defer s.stop()
	all := make([]float64, reps)
	for i := range all {
		var err error
		if all[i], err = s.run(); err != nil {
			return 0, err
		}
	}
	return median(all), nil
}

// warmUp repeats until ten consecutive medians agree within 5 %. A repetition
// of seconds is its own warm-up: of those two suffice.
func warmUp(s *side, reps int) error {
	var last []float64
	begun := time.Now()
	for n := 0; n < warmUpMost && time.Since(begun) < warmUpTime; n += reps {
		m, err := sample(s, reps)
		if err != nil {
			return err
		}
		last = append(last, m)
		if len(last) == 2 && slices.Min(last) > longRun {
			return nil
		}
		if len(last) > steadyMedians {
			last = last[1:]
		}
		if len(last) == steadyMedians && slices.Max(last) <= slices.Min(last)*(1+steadyWithin) {
			return nil
		}
	}
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}
