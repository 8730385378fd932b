package profiles

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// Options say how a plan is made.
type Options struct {
	Strategy    string // one of [Strategies]; "auto" is what the reach and the cost allow
	Reach       Reach  // "" is Any
	Backend     string // a name of [ReachOf]; "" = any
	MaxProfiles int    // 0 = no limit, and 8 for bucketed and static-kv
	CreatedBy   string

	// Opt says where a wide profile has its optimum: "decode" (where most passes
	// are, and what "" is), "prefill", or "median" of everything.
	Opt string
	// Costs are the prices of the cost model; nil is DefaultCosts.
	Costs *Costs
	// WeightBytes is the size of the model's weights, for the cost of storing them
	// twice; 0 = not known.
	WeightBytes int64
	// Capacity is the length of cache buffers whose length the graph leaves open;
	// 0 is the longest that the demand needs.
	Capacity int
}

// Strategies are the names of what Derive can do.
var Strategies = []string{"auto", "wide", "phase", "bucketed", "static", "static-kv"}

// Derive makes a plan that covers the workload's whole demand on graphs of the
// contract. A workload that makes no sense, a scenario longer than the model's
// positions, a size that the graph fixes at another, a dimension whose sizes
// nobody said, or a strategy that the reach or the graph cannot serve is an error
// of class usage.
//
// wide is one profile over everything with its optimum on the decode shape,
// where most passes are. phase is one profile for prefill, in chunks or not, and
// one for decode, with seq fixed at 1, each with its optimum on the weighted
// median of its demand. bucketed divides each phase into the lengths that cost the
// least by [Costs]. static is a profile for each shape. static-kv is for graphs
// whose cache is a buffer of fixed length: buckets of lengths for prefill and one
// static shape for decode, for each batch size; where only one profile can be
// reached it is one from a token to the longest prompt. auto is static-kv for such graphs,
// else the cheapest of wide, phase and, where MaxProfiles is 3 or more, bucketed
// that the runtime can reach.
func Derive(c *contract.Contract, w Workload, o Options) (*Plan, error) {
	if o.Reach == "" {
		o.Reach = Any
	}
	if o.Costs == nil {
		o.Costs = &DefaultCosts
	}
	if encoder(c) {
		w = w.once()
	}
	if err := errors.Join(w.Check(), w.fits(c), unlimited(c)); err != nil {
		return nil, err
	}
	if o.Capacity < 0 || o.Capacity > 0 && (!buffered(c) || c.Capacity() > 0 && int64(o.Capacity) != c.Capacity()) {
		return nil, capacityFault(c, o.Capacity)
	}
	if !c.Cached() && w.cached() && !encoder(c) && w.generates() {
		return nil, fault.New(fault.Usage, "deriving profiles", "", "the graph has no cache, and the workload decodes with one", `set mode = "uncached", or export with past`)
	}
	d := &deriver{c: c, o: o, demand: Demand(w)}
	if err := fixed(c, d.demand); err != nil {
		return nil, err
	}
	if err := d.size(); err != nil {
		return nil, err
	}
	strategy, all, err := d.choose()
	if err != nil {
		return nil, err
	}
	return d.plan(strategy, all, w)
}

// Again derives a plan for the demand that p covers, and so for another reach, say.
func (p *Plan) Again(c *contract.Contract, o Options) (*Plan, error) {
	if o.Costs == nil {
		o.Costs = &DefaultCosts
	}
	d := &deriver{c: c, o: o, demand: p.Demand}
	if err := d.size(); err != nil {
		return nil, err
	}
	strategy, all, err := d.choose()
	if err != nil {
		return nil, err
	}
	return d.plan(strategy, all, Workload{PaddedPast: p.PaddedPast})
}

// fits is [Workload.Fit], in the columns of a cache where they are what limits.
func (w Workload) fits(c *contract.Contract) error {
	if n := int(c.Capacity()); n > 0 && n <= c.MaxPositions {
		return w.fit(n, fmt.Sprintf("the cache has %d columns", n), "export with a larger --capacity, shorten the prompt or generate fewer tokens")
	}
	return w.Fit(c.MaxPositions)
}

// capacityFault says why a length of cache buffers cannot be chosen.
func capacityFault(c *contract.Contract, n int) error {
	cause, fix := fmt.Sprintf("a capacity of %d", n), "want 1 or more columns"
	if n > 0 {
		cause, fix = fmt.Sprintf("a capacity of %d columns, and the cache of this graph grows", n), "leave the capacity away, or export with a static cache"
	}
	if own := c.Capacity(); n > 0 && own > 0 {
		cause, fix = fmt.Sprintf("a capacity of %d columns, and the graph fixes its cache at %d", n, own), "leave the capacity away, or export with another --capacity"
	}
	return fault.New(fault.Usage, "deriving profiles", "", cause, fix)
}

// deriver is what every strategy works with.
type deriver struct {
	c        *contract.Contract
	o        Options
	demand   []Shape
	capacity int // of cache buffers
}

// plan is the proof: the demand divided by what serves it.
func (d *deriver) plan(strategy string, all []Profile, w Workload) (*Plan, error) {
	p := &Plan{Kind: "plan", SchemaVersion: SchemaVersion, CreatedBy: d.o.CreatedBy, Strategy: strategy, Reach: d.o.Reach, Profiles: all, PaddedPast: w.PaddedPast}
	p.Demand, p.Coverage = Replay(d.c, all, d.demand, d.o.Reach)
	if slices.Contains(p.Coverage, -1) { // of boxes around the demand, the graph's own fixed sizes are the only cause
		gaps := Check(d.c, all, d.demand, d.o.Reach)
		return nil, fault.New(fault.Usage, "deriving profiles for", gaps[0].Shape.String(), gaps[0].String(), "change the workload or the graph")
	}
	if err := Validate(d.c, all); err != nil {
		return nil, fmt.Errorf("deriving profiles: %w", err)
	}
	cost := Evaluate(d.c, all, p.Demand, p.Coverage, *d.o.Costs, d.o.WeightBytes)
	p.Estimate = &cost
	if StoresTwice(all) && slices.Contains([]string{"", "rtx", "rtxep", "nvrtx", "trtexec", "tensorrt"}, d.o.Backend) {
		p.Notes = append(p.Notes, "a profile of one batch and one token beside one of more tokens at that batch: TensorRT-RTX was seen to store the weights twice; a range of batches avoids it (one more --scenario of another batch; --batch-max for requests that name none)")
	}
	return p, nil
}

// encoder tells a graph without a length of its own: every pass differs by its
// batch at most.
func encoder(c *contract.Contract) bool {
	for _, t := range c.Inputs {
		for _, d := range t.Dims {
			switch d.Role {
			case contract.Seq, contract.Past, contract.Total, contract.Buffer:
				return false
			}
		}
	}
	return true
}

// once is the workload of such a graph: its batch sizes, one pass each.
func (w Workload) once() Workload {
	if len(w.Scenarios) == 0 && len(w.Requests) == 0 && w.Trace == "" && w.Lengths == "" {
		w.Scenarios = []Scenario{{Name: "all", PromptTokens: 1, Batch: 1}}
		if w.BatchMax > 0 || len(w.Batches) > 0 {
			w.Scenarios[0].Batch = 0
		}
	}
	return w
}

// generates tells whether any request has a second pass.
func (w Workload) generates() bool {
	for _, s := range w.sources() {
		if len(s.decode)+len(s.uncached) > 0 {
			return true
		}
	}
	return false
}

// unlimited refuses dimensions of which nothing but their freedom is known.
func unlimited(c *contract.Contract) error {
	var errs []error
	for _, t := range c.Inputs {
		for i, d := range t.Dims {
			if d.Role == contract.Free && d.Size == 0 && d.Limits == nil {
				errs = append(errs, fault.New(fault.Usage, "deriving profiles", fmt.Sprintf("%s dimension %d", t.Name, i),
					"no other size depends on it, and nobody said which it takes", "say it: "+bindText(t.Name, i)))
			}
		}
	}
	return errors.Join(errs...)
}

// bindText is the flag that gives a dimension its sizes.
func bindText(input string, dim int) string {
	return fmt.Sprintf("--bind %s:%d=MIN..OPT..MAX", input, dim)
}

// fixed refuses a demand for sizes that the graph fixes at others: no profile
// can help. Each dimension is named once, with the first shape it cannot take.
func fixed(c *contract.Contract, demand []Shape) error {
	var errs []error
	for _, t := range c.Inputs {
		for i, d := range t.Dims {
			if d.Size == 0 || d.Role == contract.Static || d.Role == contract.Free {
				continue
			}
			here := side{role: d, min: d.Size, max: d.Size}
			for _, s := range demand {
				if here.off(s) == 0 {
					continue
				}
				s = outlier(here, s)
				_, want := here.asks(s)
				verb := "asks for"
				if d.Role == contract.Buffer {
					verb = "needs"
				}
				errs = append(errs, fault.New(fault.Usage, "deriving profiles", fmt.Sprintf("%s dimension %d", t.Name, i),
					fmt.Sprintf("the graph fixes %s at %d, and %s %s %d", d.Role, d.Size, s, verb, want),
					"export the model with that dimension dynamic, or ask for nothing else"))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// outlier is a single shape of a block that the side does not hold.
func outlier(d side, s Shape) Shape {
	if first := s.at(0, 0); d.off(first) > 0 {
		return first
	}
	return s.Last()
}

// size decides the length of cache buffers that the graph leaves open.
func (d *deriver) size() error {
	for _, s := range d.demand {
		d.capacity = max(d.capacity, s.Last().Total())
	}
	if d.o.Capacity == 0 {
		return nil
	}
	if d.o.Capacity < d.capacity {
		return fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("a cache buffer of %d tokens, and the demand needs %d", d.o.Capacity, d.capacity), "make it longer")
	}
	d.capacity = d.o.Capacity
	return nil
}
