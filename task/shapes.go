package task

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/profiles"
)

// scored is in what shapes an engine is scored: so many windows at once, and so many
// tokens of each before its first step of decode; 0 leaves them to the job.
type scored struct{ batch, prompt int }

// shapes are such as the engine's profiles hold: the most windows at once, up to what
// others get, and the shortest beginning. An engine without profiles runs any.
func (v *Validation) shapes(r *Runnable) (scored, error) {
	if !profiled(r) {
		return scored{}, nil
	}
	prompts := []int{1}
	for _, p := range r.Manifest.Profiles {
		prompts = append(prompts, max(p.Seq.Min, 1))
	}
	slices.Sort(prompts)
	prompts = slices.Compact(prompts)
	var gaps []profiles.Gap
	for batch := jobs.Batch(r.Model.Contract, v.Bundle.Convention, 0); batch > 0; batch-- {
		for _, prompt := range prompts {
			if gaps = gapsOf(r, v.demand(batch, prompt)); len(gaps) == 0 {
				return scored{batch, prompt}, nil
			}
		}
	}
	cause := NoRoom(fmt.Sprintf("its profiles do not hold the windows of the reference, %d tokens long: %s", v.Bundle.Convention.Length, gaps[0]))
	return scored{}, fault.Wrap(fault.Usage, "validating", r.Name, cause, "choose windows that they hold, or build it for a workload that has such")
}

// NoRoom is the cause of an error where an engine's profiles do not hold the windows
// of the reference.
type NoRoom string

func (e NoRoom) Error() string { return string(e) }

// demand is what scoring asks of an engine: windows in one pass, and step by step.
func (v *Validation) demand(batch, prompt int) (all []profiles.Shape) {
	c := v.Bundle.Convention
	for _, w := range []int{0, c.Count(len(v.IDs)) - 1} { // those between are as the first, the last may be shorter
		span := c.Span(len(v.IDs), w)
		length := span.Length - 1
		all = append(all, asks(batch, length, 0)...)
		first := min(max(prompt, span.First+1), length)
		all = append(all, asks(batch, first, length-first)...)
	}
	return all
}

// asks is a prefill of up to so many rows, and steps after it.
func asks(batch, prompt, steps int) []profiles.Shape {
	all := []profiles.Shape{{Phase: profiles.Prefill, Batch: 1, Batches: batch, Seq: prompt, Count: 1}}
	if steps > 0 {
		all = append(all, profiles.Shape{Phase: profiles.Decode, Batch: 1, Batches: batch, Seq: 1, Past: prompt, Run: steps, Count: 1})
	}
	return all
}

// profiled tells whether an engine runs in profiles.
func profiled(r *Runnable) bool {
	return r.Manifest != nil && r.Backend != "ortcpu" && len(r.Manifest.Profiles) > 0
}

// gapsOf are the shapes that none of an engine's profiles holds, of those that its
// backend reaches. Two sessions, of prefill and of decode, have a profile each.
func gapsOf(r *Runnable, demand []profiles.Shape) []profiles.Gap {
	if !profiled(r) {
		return nil
	}
	reach := profiles.Any
	if known, err := profiles.ReachOf(r.Backend, ""); err == nil && r.Model.Steps == "" {
		reach = known.Reach
	}
	return profiles.Check(r.Model.Contract, r.Manifest.Profiles, demand, reach)
}

// Beginning is as much of the text as is sent for what looks at a few stretches of it.
func (v *Validation) Beginning() []int { return v.IDs[:min(len(v.IDs), 1<<14)] }

// invariance is what can be asked of an engine: padding where its profiles hold
// shorter prompts, and as many rows at once as they hold. It is nil where they hold
// one alone.
func (v *Validation) invariance(r *Runnable) (*jobs.InvarianceRequest, error) {
	length := 0 // as the job likes
	if profiled(r) {
		length = min(32, max(2, v.Bundle.Convention.Length-9)) // within a window, with steps after it
	}
	for _, alike := range []bool{false, true} {
		for rows := 4; rows > 1; rows-- {
			i, err := jobs.InvarianceRequest{Model: r.Model, IDs: v.Beginning(), Rows: rows, Length: length, Alike: alike}.Filled()
			if err != nil {
				return nil, err
			}
			if len(gapsOf(r, append(asks(rows, i.Shortest(), i.Steps), asks(rows, i.Length, i.Steps)...))) == 0 {
				return &i, nil
			}
		}
	}
	return nil, nil
}
