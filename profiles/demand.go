package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// Phase is what a forward pass is for.
type Phase string

// The phases.
const (
	Prefill        Phase = "prefill"         // first pass over a prompt, past = 0
	ChunkedPrefill Phase = "chunked_prefill" // past > 0, seq > 1
	Decode         Phase = "decode"          // seq = 1, past grows
	UncachedDecode Phase = "uncached_decode" // no cache: seq grows, past = 0
)

// Mode says how new tokens are generated.
type Mode string

// The modes of a workload; "" is Cached.
const (
	Cached   Mode = "cached"
	Uncached Mode = "uncached"
	Both     Mode = "both"
)

// Scenario is a kind of request.
type Scenario struct {
	Name         string  `toml:"name" json:"name"`
	Batch        int     `toml:"batch" json:"batch"`
	PromptTokens int     `toml:"prompt_tokens" json:"prompt_tokens"`
	NewTokens    int     `toml:"new_tokens" json:"new_tokens"`
	Weight       float64 `toml:"weight" json:"weight"` // its share of the traffic, in any unit; 0 is 1
}

// Workload is what a deployment will be asked for.
type Workload struct {
	Mode      Mode       `toml:"mode" json:"mode"`
	Scenarios []Scenario `toml:"scenario" json:"scenarios"`
	// FeedLast says that the last generated token is fed too, as some loops do:
	// one step more a request, and one column more of cache.
	FeedLast bool `toml:"feed_last" json:"feed_last"`
}

// Shape is one demanded forward pass and how often it occurs.
type Shape struct {
	Phase Phase   `json:"phase"`
	Batch int     `json:"batch"`
	Seq   int     `json:"seq"`
	Past  int     `json:"past"`
	Count float64 `json:"count"` // passes per unit of weight, summed over scenarios
}

// Total is past + seq, the length of the mask.
func (s Shape) Total() int { return s.Past + s.Seq }

// String is the shape in words.
func (s Shape) String() string {
	return fmt.Sprintf("%s batch %d, seq %d, past %d", s.Phase, s.Batch, s.Seq, s.Past)
}

// steps is how many passes follow the prefill: the prefill gives the first
// token, and the last token is fed only if the loop does so.
func (w Workload) steps(s Scenario) int {
	if w.FeedLast {
		return s.NewTokens
	}
	return max(s.NewTokens-1, 0)
}

// Demand is every distinct shape that the workload produces, in the order of
// phase, batch, past and seq.
func Demand(w Workload) []Shape {
	type key struct {
		phase            Phase
		batch, seq, past int
	}
	counts := map[key]float64{}
	for _, s := range w.Scenarios {
		weight := s.Weight
		if weight == 0 {
			weight = 1
		}
		counts[key{Prefill, s.Batch, s.PromptTokens, 0}] += weight
		for i := range w.steps(s) {
			if w.Mode != Uncached {
				counts[key{Decode, s.Batch, 1, s.PromptTokens + i}] += weight
			}
			if w.Mode == Uncached || w.Mode == Both {
				counts[key{UncachedDecode, s.Batch, s.PromptTokens + 1 + i, 0}] += weight
			}
		}
	}
	demand := make([]Shape, 0, len(counts))
	for k, n := range counts {
		demand = append(demand, Shape{k.phase, k.batch, k.seq, k.past, n})
	}
	slices.SortFunc(demand, func(a, b Shape) int {
		return cmp.Or(cmp.Compare(order[a.Phase], order[b.Phase]), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Past, b.Past), cmp.Compare(a.Seq, b.Seq))
	})
	return demand
}

var order = map[Phase]int{Prefill: 0, ChunkedPrefill: 1, Decode: 2, UncachedDecode: 3}

// maxTokens is more than any scenario can mean: a shape is kept for each token.
const maxTokens = 1 << 21

// Check finds everything that is wrong with a workload by itself, as errors of
// class usage.
func (w Workload) Check() error {
	var errs []error
	bad := func(subject, cause, fix string) {
		errs = append(errs, fault.New(fault.Usage, "checking", subject, cause, fix))
	}
	if w.Mode != "" && w.Mode != Cached && w.Mode != Uncached && w.Mode != Both {
		bad("workload", fmt.Sprintf("there is no mode %q", w.Mode), "want cached, uncached or both")
	}
	if len(w.Scenarios) == 0 {
		bad("workload", "it asks for nothing", "add a scenario")
	}
	for _, s := range w.Scenarios {
		subject := fmt.Sprintf("scenario %q", s.Name)
		switch {
		case s.Batch < 1 || s.PromptTokens < 1:
			bad(subject, fmt.Sprintf("batch %d of %d prompt tokens", s.Batch, s.PromptTokens), "want at least one of each")
		case s.NewTokens < 0:
			bad(subject, fmt.Sprintf("%d new tokens", s.NewTokens), "want 0 or more")
		case s.Batch > maxTokens || s.PromptTokens > maxTokens || s.NewTokens > maxTokens:
			bad(subject, fmt.Sprintf("batch %d, %d prompt and %d new tokens", s.Batch, s.PromptTokens, s.NewTokens), fmt.Sprintf("want at most %d of each", maxTokens))
		}
		if !(s.Weight >= 0) || math.IsInf(s.Weight, 0) { // also false of NaN
			bad(subject, fmt.Sprintf("weight %g", s.Weight), "want a finite number, 0 or above")
		}
	}
	return errors.Join(errs...)
}

// Fit refuses scenarios that are longer than the model's positions, all of them
// at once, as an error of class usage. positions 0 means that the model states
// no limit.
func (w Workload) Fit(positions int) error {
	var errs []error
	for _, s := range w.Scenarios {
		if total := s.PromptTokens + w.steps(s); positions > 0 && total > positions {
			errs = append(errs, fault.New(fault.Usage, "checking", fmt.Sprintf("scenario %q", s.Name),
				fmt.Sprintf("%d prompt and %d new tokens reach position %d, the model has %d", s.PromptTokens, s.NewTokens, total, positions),
				"shorten the prompt or generate fewer tokens"))
		}
	}
	return errors.Join(errs...)
}
