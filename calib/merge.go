package calib

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// Merge joins the observations of all parts of one plan ([Plan.Shard]). It adds
// them up in the order of the plan whatever the order that they are given in, so
// the result is always the same: the counts, extremes and samples of one job
// that ran the whole plan, and its moments and mean squares but for rounding.
// Parts of another model, text, plan or set of tensors, a part that is there
// twice, one that was not run to its end, and missing parts are an error of class
// usage that names all.
func Merge(parts []*Observations) (*Observations, error) {
	if len(parts) == 0 {
		return nil, fault.New(fault.Usage, "merging observations", "", "there are none", "name the observations of all parts")
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *Observations) int { return cmp.Compare(a.Parts[0], b.Parts[0]) })
	if err := fits(parts); err != nil {
		return nil, fault.Wrap(fault.Usage, "merging", fmt.Sprintf("%d observations", len(parts)), err,
			"calibrate all parts of one plan with the same options, each once")
	}
	first := parts[0]
	all := NewObservations(nil)
	all.CreatedBy, all.Model, all.Text, all.Plan, all.Of, all.Parts = first.CreatedBy, first.Model, first.Text, first.Plan, first.Of, nil
	for name := range first.Tensors {
		all.Tensors[name] = &Observation{}
	}
	for _, p := range parts {
		for name, seen := range p.Tensors {
			all.Tensors[name].Merge(seen)
		}
		all.Parts = append(all.Parts, p.Parts...)
		all.Done += p.Done
		all.Batches += p.Batches
		all.Samples += p.Samples
		all.Tokens += p.Tokens
	}
	slices.Sort(all.Parts)
	return all, nil
}

// fits finds everything for which parts cannot be merged.
func fits(parts []*Observations) error {
	var errs []error
	first := parts[0]
	times := map[int]int{}
	for _, p := range parts {
		for _, err := range p.differs(first) {
			errs = append(errs, fmt.Errorf("%s: %w", p.label(), err))
		}
		if !p.Whole() {
			errs = append(errs, fmt.Errorf("%s: only %d of %d batches were run", p.label(), p.Done, p.Batches))
		}
		for _, i := range p.Parts {
			if times[i]++; times[i] == 2 {
				errs = append(errs, fmt.Errorf("part %d of %d is there twice", i+1, p.Of))
			}
		}
	}
	for i := range first.Of {
		if times[i] == 0 {
			errs = append(errs, fmt.Errorf("part %d of %d is missing", i+1, first.Of))
		}
	}
	return errors.Join(errs...)
}

// label names observations in an error: by their file, or by their parts.
func (o *Observations) label() string {
	if o.path != "" {
		return o.path
	}
	return fmt.Sprintf("parts %v", plusOne(o.Parts))
}

// plusOne is how people count parts.
func plusOne(parts []int) []int {
	all := make([]int, len(parts))
	for i, p := range parts {
		all[i] = p + 1
	}
	return all
}
