package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// Options say how a plan is made.
type Options struct {
	Strategy    string // "wide", "phase" or "auto": what the reach allows
	Reach       Reach  // "" is Any
	MaxProfiles int    // 0 = no limit
	CreatedBy   string
}

// Derive makes a plan that covers the workload's whole demand on graphs of the
// contract. A workload that makes no sense, a scenario longer than the model's
// positions, a size that the graph fixes at another, or a strategy that the reach
// cannot serve is an error of class usage.
//
// wide is one profile over everything with its optimum on the decode shape,
// where most passes are. phase is one profile for prefill, with past fixed at
// 0, and one for decode, with seq fixed at 1, each with its optimum on the
// weighted median of its demand.
func Derive(c *contract.Contract, w Workload, o Options) (*Plan, error) {
	if o.Reach == "" {
		o.Reach = Any
	}
	if err := errors.Join(w.Check(), w.Fit(c.MaxPositions)); err != nil {
		return nil, err
	}
	if !c.Cached() && w.Mode != Uncached {
		return nil, fault.New(fault.Usage, "deriving profiles", "", "the graph has no cache, and the workload decodes with one", `set mode = "uncached", or export with past`)
	}
	demand := Demand(w)
	if err := fixed(c, demand); err != nil {
		return nil, err
	}
	strategy, err := choose(o, demand)
	if err != nil {
		return nil, err
	}
	p := &Plan{Kind: "plan", SchemaVersion: SchemaVersion, CreatedBy: o.CreatedBy, Strategy: strategy, Reach: o.Reach, Demand: demand}
	if strategy == "wide" {
		p.Profiles = []Profile{wide(c, demand)}
	} else {
		p.Profiles = phases(c, demand)
	}
	gaps, coverage := cover(c, p.Profiles, demand, o.Reach)
	if len(gaps) > 0 { // of a box around the demand, the graph's own fixed sizes are the only cause
		return nil, fault.New(fault.Usage, "deriving profiles for", gaps[0].Shape.String(), gaps[0].String(), "change the workload or the graph")
	}
	if err := Validate(c, p.Profiles); err != nil {
		return nil, fmt.Errorf("deriving profiles: %w", err)
	}
	p.Coverage = coverage
	return p, nil
}

// fixed refuses a demand for sizes that the graph fixes at others: no profile
// can help. Each dimension is named once, with the first shape it cannot take.
func fixed(c *contract.Contract, demand []Shape) error {
	var errs []error
	for _, t := range c.Inputs {
		for i, d := range t.Dims {
			for _, s := range demand {
				want := d.Asked(int64(s.Batch), int64(s.Seq), int64(s.Past))
				if d.Size > 0 && want != d.Size {
					errs = append(errs, fault.New(fault.Usage, "deriving profiles", fmt.Sprintf("%s dimension %d", t.Name, i),
						fmt.Sprintf("the graph fixes %s at %d, and %s asks for %d", d.Role, d.Size, s, want),
						"export the model with that dimension dynamic, or ask for nothing else"))
					break
				}
			}
		}
	}
	return errors.Join(errs...)
}

// choose is the strategy that auto stands for, or a refusal. A demand without
// decode needs one profile either way.
func choose(o Options, demand []Shape) (string, error) {
	past := slices.ContainsFunc(demand, func(s Shape) bool { return s.Past > 0 })
	one := past && (o.Reach == First || o.MaxProfiles == 1)
	switch {
	case o.Strategy == "wide", o.Strategy == "auto" && one:
		return "wide", nil
	case o.Strategy == "auto":
		return "phase", nil
	case o.Strategy == "phase" && one:
		return "", fault.New(fault.Usage, "deriving profiles", "", "strategy phase needs two profiles, and only the first can be reached", `use strategy "wide"`)
	case o.Strategy == "phase":
		return "phase", nil
	}
	return "", fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("strategy %q", o.Strategy), "want wide, phase or auto")
}

// wide is one profile around all shapes. Its minimum is the smallest corner
// and its maximum the largest; n_positions bounds the demand, not that corner.
func wide(c *contract.Contract, demand []Shape) Profile {
	busiest := slices.DeleteFunc(slices.Clone(demand), func(s Shape) bool { return s.Phase != Decode })
	if len(busiest) == 0 {
		busiest = demand
	}
	p := around(demand)
	opt := around(busiest)
	p.Name, p.Batch.Opt, p.Seq.Opt, p.Past.Opt = "wide", opt.Batch.Opt, opt.Seq.Opt, opt.Past.Opt
	return p.with(c)
}

// phases is a profile for passes without past and one for those with it.
func phases(c *contract.Contract, demand []Shape) []Profile {
	var first, later []Shape
	for _, s := range demand {
		if s.Past == 0 {
			first = append(first, s)
		} else {
			later = append(later, s)
		}
	}
	p := around(first)
	p.Name = "prefill"
	all := []Profile{p.with(c)}
	if len(later) > 0 {
		d := around(later)
		d.Name = "decode"
		all = append(all, d.with(c))
	}
	return all
}

// around is the tightest box around shapes, its optimum the weighted median of
// each quantity.
func around(shapes []Shape) Profile {
	span := func(of func(Shape) int) Span {
		sorted := slices.Clone(shapes)
		slices.SortStableFunc(sorted, func(a, b Shape) int { return cmp.Compare(of(a), of(b)) })
		total, sum := 0.0, 0.0
		for _, s := range sorted {
			total += s.Count
		}
		s := Span{Min: of(sorted[0]), Max: of(sorted[len(sorted)-1])}
		s.Opt = s.Max
		for _, shape := range sorted {
			if sum += shape.Count; sum >= total/2 {
				s.Opt = of(shape)
				break
			}
		}
		return s
	}
	return Profile{
		Batch: span(func(s Shape) int { return s.Batch }),
		Seq:   span(func(s Shape) int { return s.Seq }),
		Past:  span(func(s Shape) int { return s.Past }),
	}
}

// with fills in the ranges of every input. Minimum, optimum and maximum are each
// the shape of one pass, so total = past + seq holds at all three.
func (p Profile) with(c *contract.Contract) Profile {
	for _, t := range c.Inputs {
		shape := func(of func(Span) int) []int64 {
			return c.Shape(t, int64(of(p.Batch)), int64(of(p.Seq)), int64(of(p.Past)))
		}
		p.Inputs = append(p.Inputs, Range{
			Input: t.Name,
			Min:   shape(func(s Span) int { return s.Min }),
			Opt:   shape(func(s Span) int { return s.Opt }),
			Max:   shape(func(s Span) int { return s.Max }),
		})
	}
	return p
}
