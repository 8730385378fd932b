package pipeline

import (
	"fmt"

	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/profiles"
)

// outside says which of the shapes that a job asks for lie outside of an engine's
// profiles; "" where none does, as of engines that have no profiles.
func (r *Runnable) outside(demand []profiles.Shape) string {
	if r.Manifest == nil || len(r.Manifest.Profiles) == 0 {
		return ""
	}
	// An engine of two phases is two engines, each in its first profile.
	gaps := profiles.Check(r.Model.Contract, r.Manifest.Profiles, demand, profiles.Any)
	if len(gaps) == 0 {
		return ""
	}
	s := gaps[0].Shape
	return fmt.Sprintf("%s of batch %d, %d tokens after %d: %s", s.Phase, s.Batch, s.Seq, s.Past, gaps[0])
}

// passes are the shapes of a prefill and of the steps behind it, up to a total.
func passes(batch, prompt, total int) []profiles.Shape {
	all := []profiles.Shape{{Phase: profiles.Prefill, Batch: batch, Seq: prompt, Count: 1}}
	if total > prompt {
		all = append(all, profiles.Shape{Phase: profiles.Decode, Batch: batch, Seq: 1, Past: prompt, Run: total - prompt, Count: 1})
	}
	return all
}

// Room is how many windows of the text an engine can take together, in one pass and
// token by token; where its profiles hold not even one, why is what lies outside.
func (v *Validation) Room(r *Runnable) (batch int, why string) {
	c := v.Bundle.Convention
	windows := c.Windows(v.IDs)
	if v.Windows > 0 && v.Windows < len(windows) {
		windows = windows[:v.Windows]
	}
	for batch = jobs.Batch(r.Model.Contract, c, 0); batch > 0; batch-- {
		var demand []profiles.Shape
		seen := map[[3]int]bool{}
		for _, g := range jobs.Groups(c, len(v.IDs), len(windows), batch) {
			w := windows[g[0]]
			length := w.Length - 1
			shape := [3]int{len(g), min(w.First+1, length), length}
			if !seen[shape] {
				seen[shape] = true
				demand = append(demand, passes(len(g), length, length)...)
				demand = append(demand, passes(len(g), shape[1], length)...)
			}
		}
		if why = r.outside(demand); why == "" {
			return batch, ""
		}
	}
	return 0, fmt.Sprintf("its profiles do not hold the windows of the reference (%s); add a scenario of that many tokens to the workload", why)
}
