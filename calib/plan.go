package calib

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// Plan is which windows of a text are run.
type Plan struct {
	Samples []Sample
}

// Sample is one window: a prefill of its first tokens with no past, then decode
// steps that feed one further token each of the text, on the past that the model
// itself has produced.
type Sample struct {
	Start   int // index of its first token
	Prefill int // tokens of the prefill, 1 or more
	Decode  int // decode steps after it
}

// Len is how many tokens of the text the sample covers.
func (s Sample) Len() int { return s.Prefill + s.Decode }

// PlanOptions say how a plan is drawn.
type PlanOptions struct {
	Samples int   // how many windows; 0 means 32
	Prefill []int // their prefill lengths, used in turn; nil means 64
	Decode  int   // decode steps of each; 0 means none
	Seed    uint64
	Limit   int // positions of the model; 0 means no limit
}

// NewPlan draws windows from a text of that many tokens: it is divided into as
// many strata as there are samples and each window lies inside its own, at a
// place that the seed decides, so that windows never overlap and the whole text
// is sampled. The same options give the same plan everywhere. Too short a text,
// or a window longer than the model's positions, is an error of class usage.
func NewPlan(tokens int, o PlanOptions) (Plan, error) {
	if o.Samples == 0 {
		o.Samples = 32
	}
	if len(o.Prefill) == 0 {
		o.Prefill = []int{64}
	}
	bad := func(cause, fix string) (Plan, error) {
		return Plan{}, fault.New(fault.Usage, "planning the calibration", "", cause, fix)
	}
	longest := slices.Max(o.Prefill) + o.Decode
	switch {
	case o.Samples < 0 || o.Decode < 0 || slices.Min(o.Prefill) < 1:
		return bad(fmt.Sprintf("%d samples of prefill %v and %d decode steps", o.Samples, o.Prefill, o.Decode), "give positive numbers")
	case o.Limit > 0 && longest > o.Limit:
		return bad(fmt.Sprintf("a window of %d tokens does not fit the model's %d positions", longest, o.Limit),
			"use shorter prefills or fewer decode steps")
	case tokens/o.Samples < longest:
		return bad(fmt.Sprintf("the text has %d tokens, %d samples of up to %d tokens need %d", tokens, o.Samples, longest, o.Samples*longest),
			"give a longer text, or ask for fewer or shorter samples")
	}
	r := rand.New(rand.NewPCG(o.Seed, 0))
	stratum := tokens / o.Samples
	var p Plan
	for i := range o.Samples {
		s := Sample{Prefill: o.Prefill[i%len(o.Prefill)], Decode: o.Decode}
		s.Start = i*stratum + r.IntN(stratum-s.Len()+1)
		p.Samples = append(p.Samples, s)
	}
	return p, nil
}
