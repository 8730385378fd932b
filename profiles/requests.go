package profiles

import "fmt"

// Requests is how many requests there are of each length. Of a trace it keeps
// three counts a length rather than the requests: where prompts end, and where
// those that generate begin and cease to, is all that demand depends on.
type Requests struct {
	Name   string // what they are called in errors and reports
	Number int64  // of a distribution, in units of its smallest share
	Share  bool   // it is a distribution: Number says nothing by itself
	unit   float64

	prompts []int64 // by prompt tokens
	starts  []int64 // by prompt tokens, of those that generate
	ends    []int64 // by prompt and new tokens together, of those that generate
}

// NewRequests is no requests yet, each of weight 1.
func NewRequests(name string) *Requests { return &Requests{Name: name, unit: 1} }

// Add counts n requests of a prompt of 1 to 2^21 tokens and 0 to 2^21 new ones;
// others are an error.
func (r *Requests) Add(prompt, fresh int, n int64) error {
	if prompt < 1 || prompt > maxTokens {
		return fmt.Errorf("%d prompt tokens, want 1 to %d", prompt, maxTokens)
	}
	if fresh < 0 || fresh > maxTokens {
		return fmt.Errorf("%d new tokens, want 0 to %d", fresh, maxTokens)
	}
	r.Number += n
	count(&r.prompts, prompt, n)
	if fresh > 0 {
		count(&r.starts, prompt, n)
		count(&r.ends, prompt+fresh, n)
	}
	return nil
}

// count adds n at i. What grows does so to a power of two: copies are few, and a
// trace of ordinary lengths needs kilobytes.
func count(counts *[]int64, i int, n int64) {
	if i >= len(*counts) {
		size := 1024
		for size <= i {
			size *= 2
		}
		*counts = append(make([]int64, 0, size), *counts...)[:size]
	}
	(*counts)[i] += n
}

// requests is what a trace or distribution asks for.
func (w Workload) requests(r *Requests) source {
	batches, sizes := w.batches()
	passes := func(n int64) float64 { return float64(n) * r.unit / float64(sizes) }
	s := source{batches: batches}
	for at, n := range r.prompts {
		if n > 0 {
			s.prompts = append(s.prompts, point{at, passes(n)})
		}
	}
	fed := 0 // the last token is a step too
	if w.FeedLast {
		fed = 1
	}
	// Who generates one token and does not feed it begins and ceases at once.
	events := func(shift int) (all []event) {
		for at, n := range r.starts {
			if n > 0 {
				all = append(all, event{at + shift, n, passes(n)})
			}
		}
		for at, n := range r.ends {
			if n > 0 {
				all = append(all, event{at + shift - 1 + fed, -n, -passes(n)})
			}
		}
		return all
	}
	if w.cached() {
		s.decode = events(0)
	}
	if w.uncached() {
		s.uncached = events(1)
	}
	return s
}

// beyond is how many requests reach further than that many positions, and how
// far the longest reaches.
func (r *Requests) beyond(positions int, feedLast bool) (n int64, longest int) {
	for end, k := range r.ends {
		reach := end - 1
		if feedLast {
			reach = end
		}
		if k > 0 && reach > positions {
			n, longest = n+k, reach
		}
	}
	for prompt, k := range r.prompts {
		if prompt < len(r.starts) {
			k -= r.starts[prompt]
		}
		if k > 0 && prompt > positions {
			n, longest = n+k, max(longest, prompt)
		}
	}
	return n, longest
}

// reach is the position that a request gets to.
func reach(prompt, fresh int, feedLast bool) int {
	if feedLast {
		return prompt + fresh
	}
	return prompt + max(fresh-1, 0)
}

// asked says how many requests there are.
func (r *Requests) asked(n int64) string {
	if r.Share {
		return fmt.Sprintf("%.3g %%", 100*float64(n)*r.unit)
	}
	return fmt.Sprintf("%d of %d", n, r.Number)
}
