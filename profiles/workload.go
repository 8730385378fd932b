package profiles

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
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
	Batch        int     `toml:"batch" json:"batch"` // 0 = every batch size of the workload, where it gives some
	PromptTokens int     `toml:"prompt_tokens" json:"prompt_tokens"`
	NewTokens    int     `toml:"new_tokens" json:"new_tokens"`
	Weight       float64 `toml:"weight" json:"weight"` // its share of the traffic, in any unit; 0 is 1
}

// Workload is what a deployment will be asked for: scenarios, the requests of a
// trace, lengths of a distribution, or several of these.
type Workload struct {
	Mode      Mode       `toml:"mode" json:"mode"`
	Scenarios []Scenario `toml:"scenario" json:"scenarios"`
	// FeedLast says that the last generated token is fed too, as some loops do:
	// one step more a request, and one column more of cache.
	FeedLast bool `toml:"feed_last" json:"feed_last"`
	// Chunk is the tokens of a prompt that one pass takes; 0 = all.
	Chunk int `toml:"chunk" json:"chunk,omitempty"`
	// BatchMax says that requests come in batches of every size up to it, Batches
	// that they come in these. Each size is asked for equally often. Neither is
	// batches of 1. Scenarios that state a batch keep it.
	BatchMax int   `toml:"batch_max" json:"batch_max,omitempty"`
	Batches  []int `toml:"batches" json:"batches,omitempty"`
	// PaddedPast says that past begins with one masked column, for builders and
	// runtimes that refuse a dimension of size 0.
	PaddedPast bool `toml:"padded_past" json:"padded_past,omitempty"`
	// Trace is a file of requests and Lengths a distribution of them (see
	// [ParseLengths]); [Workload.Open] reads both into Requests.
	Trace    string      `toml:"trace" json:"trace,omitempty"`
	Lengths  string      `toml:"lengths" json:"lengths,omitempty"`
	Requests []*Requests `toml:"-" json:"-"`
	// DropLong leaves out the requests of trace and lengths that are longer than
	// the model's positions, rather than refuse all.
	DropLong bool `toml:"drop_long" json:"drop_long,omitempty"`
}

// steps is how many passes follow the prefill: the prefill gives the first
// token, and the last token is fed only if the loop does so.
func (w Workload) steps(s Scenario) int {
	if w.FeedLast {
		return s.NewTokens
	}
	return max(s.NewTokens-1, 0)
}

// cached and uncached tell which ways of decoding the workload asks for.
func (w Workload) cached() bool   { return w.Mode != Uncached }
func (w Workload) uncached() bool { return w.Mode == Uncached || w.Mode == Both }

// sources are all that ask for shapes.
func (w Workload) sources() []source {
	var all []source
	for _, s := range w.Scenarios {
		all = append(all, w.scenario(s))
	}
	for _, r := range w.Requests {
		all = append(all, w.requests(r))
	}
	return all
}

func (w Workload) scenario(s Scenario) source {
	weight := s.Weight
	if weight == 0 {
		weight = 1
	}
	out := source{batches: []band{{s.Batch, s.Batch + 1}}}
	if s.Batch == 0 {
		var sizes int
		out.batches, sizes = w.batches()
		weight /= float64(sizes)
	}
	out.prompts = []point{{s.PromptTokens, weight}}
	if w.cached() {
		out.decode = span(nil, s.PromptTokens, s.PromptTokens+w.steps(s), weight)
	}
	if w.uncached() {
		out.uncached = span(nil, s.PromptTokens+1, s.PromptTokens+1+w.steps(s), weight)
	}
	return out
}

// batches are the batch sizes of requests that state none, and their number.
func (w Workload) batches() (all []band, sizes int) {
	if len(w.Batches) == 0 {
		n := max(w.BatchMax, 1)
		return []band{{1, n + 1}}, n
	}
	list := slices.Compact(slices.Sorted(slices.Values(w.Batches)))
	for _, b := range list {
		if n := len(all); n > 0 && all[n-1].to == b {
			all[n-1].to++
			continue
		}
		all = append(all, band{b, b + 1})
	}
	return all, len(list)
}

// maxTokens is more than any scenario can mean.
const maxTokens = 1 << 21

// maxBlocks bounds a demand: what a plan file holds.
const maxBlocks = 1 << 20

// maxChunks bounds the pieces of a prompt.
const maxChunks = 1 << 16

// The bounds of lists: the kinds of batches are compared with all that ask.
const (
	maxBatches   = 1 << 12
	maxScenarios = 1 << 14
)

// Check finds everything that is wrong with a workload by itself, as errors of
// class usage.
func (w Workload) Check() error {
	var errs []error
	bad := func(subject, cause, fix string) {
		errs = append(errs, fault.New(fault.Usage, "checking", subject, cause, fix))
	}
	w.checkKeys(bad)
	names := map[string]int{}
	for _, s := range w.Scenarios {
		w.checkScenario(s, bad)
		if names[s.Name]++; s.Name != "" && names[s.Name] == 2 {
			bad(fmt.Sprintf("scenario %q", s.Name), "another scenario has this name", "give each a name of its own")
		}
	}
	if len(errs) == 0 {
		w.checkSize(bad)
	}
	return errors.Join(errs...)
}

func (w Workload) checkKeys(bad func(subject, cause, fix string)) {
	if w.Mode != "" && w.Mode != Cached && w.Mode != Uncached && w.Mode != Both {
		bad("workload", fmt.Sprintf("there is no mode %q", w.Mode), "want cached, uncached or both")
	}
	switch {
	case len(w.Scenarios) > 0 || len(w.Requests) > 0:
	case w.Trace != "" || w.Lengths != "":
		bad("workload", "its trace and lengths have not been read", "open them first")
	default:
		bad("workload", "it asks for nothing", "add a scenario, a trace or lengths")
	}
	if w.Chunk < 0 || w.Chunk > maxTokens {
		bad("workload", fmt.Sprintf("chunks of %d tokens", w.Chunk), fmt.Sprintf("want 1 to %d, or 0 for prompts in one piece", maxTokens))
	}
	if w.Chunk > 0 && w.Mode == Uncached {
		bad("workload", "a prompt in chunks needs a cache, and the mode is uncached", "leave the chunk away")
	}
	if w.BatchMax < 0 || w.BatchMax > maxTokens {
		bad("workload", fmt.Sprintf("batch_max %d", w.BatchMax), fmt.Sprintf("want 1 to %d", maxTokens))
	}
	if n := len(w.Scenarios); n > maxScenarios {
		bad("workload", fmt.Sprintf("%d scenarios", n), fmt.Sprintf("want at most %d: a trace may hold any number of requests", maxScenarios))
	}
	if n := len(w.Batches); n > maxBatches {
		bad("workload", fmt.Sprintf("a list of %d batches", n), fmt.Sprintf("want at most %d, or batch_max", maxBatches))
	}
	if w.BatchMax > 0 && len(w.Batches) > 0 {
		bad("workload", "batch_max and batches both say how large batches are", "keep one of them")
	}
	for _, b := range w.Batches {
		if b < 1 || b > maxTokens {
			bad("workload", fmt.Sprintf("a batch of %d", b), fmt.Sprintf("want 1 to %d", maxTokens))
		}
	}
}

func (w Workload) checkScenario(s Scenario, bad func(subject, cause, fix string)) {
	subject := fmt.Sprintf("scenario %q", s.Name)
	batch := s.Batch
	if batch == 0 && (w.BatchMax > 0 || len(w.Batches) > 0) {
		batch = 1
	}
	switch {
	case batch < 1 || s.PromptTokens < 1:
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

// checkSize refuses what would take more blocks than a plan holds: many batch
// sizes apart times many different lengths, or prompts in very many chunks.
func (w Workload) checkSize(bad func(subject, cause, fix string)) {
	sources := w.sources()
	if longest := w.longest(); w.Chunk > 0 && longest/w.Chunk > maxChunks {
		bad("workload", fmt.Sprintf("prompts of up to %d tokens in chunks of %d", longest, w.Chunk), fmt.Sprintf("want at most %d chunks a prompt", maxChunks))
		return
	}
	blocks, bands := 0, bands(sources)
	for _, s := range sources {
		n := len(s.prompts) + len(s.decode) + len(s.uncached) + w.pieces(s)
		if len(s.batches) == 1 && s.batches[0].to-s.batches[0].from == 1 {
			blocks += n
			continue
		}
		for _, b := range bands {
			if s.holds(b.from) {
				blocks += n
			}
		}
	}
	if blocks > maxBlocks {
		bad("workload", fmt.Sprintf("it asks for up to %d groups of shapes, %d lengths at %d kinds of batch", blocks, blocks/max(len(bands), 1), len(bands)),
			fmt.Sprintf("want at most %d: use batch_max in place of a list of batches, fewer scenarios or longer chunks", maxBlocks))
	}
}

// pieces is how many passes the longest prompt of a source takes in chunks.
func (w Workload) pieces(s source) int {
	if w.Chunk == 0 {
		return 0
	}
	longest := 0
	for _, p := range s.prompts {
		longest = max(longest, p.at)
	}
	return longest / w.Chunk
}

// longest is the longest prompt.
func (w Workload) longest() int {
	n := 0
	for _, s := range w.Scenarios {
		n = max(n, s.PromptTokens)
	}
	for _, r := range w.Requests {
		n = max(n, len(r.prompts)-1)
	}
	return n
}

// Fit refuses scenarios and requests that are longer than the model's positions,
// all of them at once, as an error of class usage. positions 0 means that the
// model states no limit.
func (w Workload) Fit(positions int) error {
	if positions <= 0 {
		return nil
	}
	return w.fit(positions, fmt.Sprintf("the model has %d", positions), "shorten the prompt or generate fewer tokens")
}

// fit says what has that many positions, and what to do.
func (w Workload) fit(positions int, has, fix string) error {
	var errs []error
	for _, s := range w.Scenarios {
		if total := s.PromptTokens + w.steps(s); total > positions {
			errs = append(errs, fault.New(fault.Usage, "checking", fmt.Sprintf("scenario %q", s.Name),
				fmt.Sprintf("%d prompt and %d new tokens reach position %d, %s", s.PromptTokens, s.NewTokens, total, has),
				fix))
		}
	}
	for _, r := range w.Requests {
		if n, longest := r.beyond(positions, w.FeedLast); n > 0 {
			errs = append(errs, fault.New(fault.Usage, "checking", r.Name,
				fmt.Sprintf("%s requests are longer than the model's %d positions, the longest reaches %d", r.asked(n), positions, longest),
				"leave them out: --drop-long, or [workload] drop_long = true"))
		}
	}
	return errors.Join(errs...)
}
