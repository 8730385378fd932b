package main

import (
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/trtforge/trtforge/internal/child"
)

// longPairs is how many pairs of runs a comparison takes whose anchor needs a
// minute a run: seven ABBA pairs would take an hour.
const longPairs = 3

// compareLong compares whole programs: a run of each in turn, the order changing
// from pair to pair, every run a new process, so that there is nothing to warm up.
// The second figure is the memory, which each side tells with its time.
func compareLong(p plan, peakAsked float64) ([]figure, error) {
	ours, err := p.ours()
	if err != nil {
		return nil, err
	}
	defer ours.close()
	anchor, err := p.anchor()
	if err != nil {
		return nil, err
	}
	defer anchor.close()
	var mine, theirs, ratios []float64
	for i := range p.pairs {
		order := []*side{ours, anchor}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		took := map[*side]float64{}
		for _, s := range order {
			if took[s], err = s.run(); err != nil {
				return nil, err
			}
		}
		a, b := took[ours], took[anchor]
		mine, theirs, ratios = append(mine, a), append(theirs, b), append(ratios, b/a)
	}
	note := fmt.Sprintf("%d pairs, their range", p.pairs)
	speed := figure{name: p.name, unit: p.unit, asked: p.asked, ours: median(mine), anchor: median(theirs),
		ratio: median(ratios), lo: slices.Min(ratios), hi: slices.Max(ratios), note: note}
	memory := figure{name: p.name + "-peak", unit: "MB", asked: peakAsked, ours: ours.peak, anchor: anchor.peak, note: "the most of all runs"}
	memory.ratio = anchor.peak / ours.peak
	memory.lo, memory.hi = memory.ratio, memory.ratio
	return []figure{speed.judged(), memory.judged()}, nil
}

// watchEvery is how often memory is looked at.
const watchEvery = 10 * time.Millisecond

// watched runs a program and is the largest sum of VmHWM over its processes, in MB.
func watched(cmd *exec.Cmd) (mb float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return mb, err
		case <-tick.C:
			mb = max(mb, float64(child.TreePeak(cmd.Process.Pid))/1e6)
		}
	}
}

// within is a figure of memory that has to stay below a number of MB.
func within(name string, mb, asked float64) figure {
	f := figure{name: name, unit: "MB", ours: mb, anchor: asked, ratio: asked / mb, asked: 1}
	f.lo, f.hi = f.ratio, f.ratio
	return f.judged()
}
