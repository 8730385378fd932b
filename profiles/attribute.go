package profiles

import (
	"fmt"
	"sort"
)

// Ask is who asks for shapes, and in which of their steps.
type Ask struct {
	By   string `json:"by"`   // a scenario, or the name of a trace or distribution
	From int    `json:"from"` // the first step; 0 is the prefill, or its first chunk
	To   int    `json:"to"`
}

// String is who and when.
func (a Ask) String() string {
	switch {
	case a.From < 0:
		return a.By
	case a.From == a.To && a.From == 0:
		return a.By + " prefill"
	case a.From == a.To:
		return fmt.Sprintf("%s step %d", a.By, a.From)
	}
	return fmt.Sprintf("%s steps %d to %d", a.By, a.From, a.To)
}

// Attribute says of each gap who asks for it. The requests of a trace or a
// distribution are named together, with steps of -1: which of them is not kept.
func (w Workload) Attribute(gaps []Gap) {
	if len(gaps) == 0 {
		return
	}
	requests := make([]asked, len(w.Requests))
	for i, r := range w.Requests {
		alone := w
		alone.Scenarios, alone.Requests = nil, []*Requests{r}
		requests[i] = index(Demand(alone))
	}
	for i := range gaps {
		g := &gaps[i]
		g.Asked = nil
		for _, s := range w.Scenarios {
			if from, to, ok := w.stepsIn(s, g.Shape); ok && w.scenario(s).meets(g.Shape) {
				g.Asked = append(g.Asked, Ask{s.Name, from, to})
			}
		}
		for j, demand := range requests {
			if demand.meets(g.Shape) {
				g.Asked = append(g.Asked, Ask{w.Requests[j].Name, -1, -1})
			}
		}
	}
}

// asked is a demand by phase and batches, each in the order of past and seq: gaps
// and blocks may be very many, and not every pair of them is compared.
type asked map[Phase][][]Shape

func index(demand []Shape) asked {
	all := asked{}
	for _, s := range demand {
		bands := all[s.Phase]
		if n := len(bands); n > 0 && bands[n-1][0].Batch == s.Batch {
			bands[n-1] = append(bands[n-1], s)
			continue
		}
		all[s.Phase] = append(bands, []Shape{s})
	}
	return all
}

// meets tells whether the demand shares a shape with a block of one past or, in
// decode, one seq.
func (a asked) meets(o Shape) bool {
	bands := a[o.Phase]
	first := sort.Search(len(bands), func(i int) bool { return bands[i][0].Last().Batch >= o.Batch })
	for _, band := range bands[first:] {
		if band[0].Batch > o.Last().Batch {
			return false
		}
		i := sort.Search(len(band), func(i int) bool {
			last := band[i].Last()
			return last.Past > o.Past || last.Past == o.Past && last.Seq >= o.Seq
		})
		if i < len(band) && band[i].meets(o) {
			return true
		}
	}
	return false
}

// meets tells whether two blocks share a shape.
func (s Shape) meets(o Shape) bool {
	a, b := s.Last(), o.Last()
	return s.Phase == o.Phase && s.Batch <= b.Batch && o.Batch <= a.Batch && s.Seq <= b.Seq && o.Seq <= a.Seq && s.Past <= b.Past && o.Past <= a.Past
}

// meets tells whether a source asks for batches of the block.
func (s source) meets(block Shape) bool {
	for _, b := range s.batches {
		if b.from <= block.Last().Batch && block.Batch < b.to {
			return true
		}
	}
	return false
}

// stepsIn are the steps of a scenario that fall into a block.
func (w Workload) stepsIn(sc Scenario, s Shape) (from, to int, ok bool) {
	if w.PaddedPast {
		s.Past--
	}
	last := s.Last()
	steps := w.steps(sc)
	switch s.Phase {
	case Prefill:
		whole := sc.PromptTokens
		if w.Chunk > 0 && w.Mode != Both {
			whole = min(whole, w.Chunk)
		}
		return 0, 0, s.Seq <= whole && whole <= last.Seq
	case ChunkedPrefill:
		if w.Chunk == 0 || s.Past >= sc.PromptTokens {
			return 0, 0, false
		}
		n := min(w.Chunk, sc.PromptTokens-s.Past)
		return 0, 0, s.Seq <= n && n <= last.Seq
	case Decode:
		from, to = max(s.Past-sc.PromptTokens+1, 1), min(last.Past-sc.PromptTokens+1, steps)
		return from, to, w.cached() && from <= to
	}
	from, to = max(s.Seq-sc.PromptTokens, 1), min(last.Seq-sc.PromptTokens, steps)
	return from, to, w.uncached() && from <= to
}
