package calib

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// Plan is which windows of a text are run, in their order, or a part of them.
type Plan struct {
	Samples []Sample
	Batch   int // windows of one shape that are run together; 0 means 1
	// Part of Of says that only the batches Part, Part+Of, Part+2*Of, … are run.
	// Of is 0 in a whole plan.
	Part, Of int
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

// Decodes tells whether any sample has decode steps: without, no cache is fed back.
func (p Plan) Decodes() bool {
	return slices.ContainsFunc(p.Samples, func(s Sample) bool { return s.Decode > 0 })
}

// PlanOptions say how a plan is drawn.
type PlanOptions struct {
	Samples int   // how many windows; 0 means 32
	Prefill []int // their prefill lengths, used in turn; nil means 64
	Decode  int   // decode steps of each; 0 means none
	Batch   int   // windows of one shape that are run together; 0 means 4
	Seed    uint64
	Limit   int // positions of the model; 0 means no limit
}

// NewPlan draws windows from a text of that many tokens: it is divided into as
// many strata as there are samples and each window lies inside its own, at a
// place that the seed decides, so that windows never overlap and the whole text
// is sampled. They are run in an order that the seed decides too: whatever ends a
// calibration early, it has seen a random part of the text and not its beginning.
// The same options give the same plan everywhere. Too short a text, or a window
// longer than the model's positions, is an error of class usage.
func NewPlan(tokens int, o PlanOptions) (Plan, error) {
	if o.Samples == 0 {
		o.Samples = 32
	}
	if len(o.Prefill) == 0 {
		o.Prefill = []int{64}
	}
	if o.Batch == 0 {
		o.Batch = 4
	}
	bad := func(cause, fix string) (Plan, error) {
		return Plan{}, fault.New(fault.Usage, "planning the calibration", "", cause, fix)
	}
	longest := slices.Max(o.Prefill) + o.Decode
	switch {
	case o.Samples < 0 || o.Decode < 0 || o.Batch < 0 || slices.Min(o.Prefill) < 1:
		return bad(fmt.Sprintf("%d samples of prefill %v and %d decode steps in batches of %d", o.Samples, o.Prefill, o.Decode, o.Batch), "give positive numbers")
	case o.Limit > 0 && longest > o.Limit:
		return bad(fmt.Sprintf("a window of %d tokens does not fit the model's %d positions", longest, o.Limit),
			"use shorter prefills or fewer decode steps")
	case tokens/o.Samples < longest:
		return bad(fmt.Sprintf("the text has %d tokens, %d samples of up to %d tokens need %d", tokens, o.Samples, longest, o.Samples*longest),
			"give a longer text, or ask for fewer or shorter samples")
	}
	r := rand.New(rand.NewPCG(o.Seed, 0))
	stratum := tokens / o.Samples
	p := Plan{Batch: o.Batch}
	for i := range o.Samples {
		s := Sample{Prefill: o.Prefill[i%len(o.Prefill)], Decode: o.Decode}
		s.Start = i*stratum + r.IntN(stratum-s.Len()+1)
		p.Samples = append(p.Samples, s)
	}
	r.Shuffle(len(p.Samples), func(i, j int) { p.Samples[i], p.Samples[j] = p.Samples[j], p.Samples[i] })
	return p, nil
}
