package profiles

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/contract"
)

// Validate holds profiles against a graph and returns every violation at once:
// inputs that are missing or that the graph does not have, ranks, min <= opt <=
// max, sizes that the graph fixes, and at min, opt and max each one batch, one
// sequence, one past, and a total that is past + sequence.
//
// The last rules are stricter than NVIDIA's builders, which make plans that break
// them and fail at run time.
func Validate(c *contract.Contract, all []Profile) error {
	var errs []error
	for i, p := range all {
		for _, err := range p.violations(c) {
			errs = append(errs, fmt.Errorf("profile %d (%s): %w", i, p.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (p Profile) violations(c *contract.Contract) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	ranges := map[string]Range{}
	for _, r := range p.Inputs {
		if _, twice := ranges[r.Input]; twice {
			bad("%s has two ranges", r.Input)
		}
		ranges[r.Input] = r
	}
	var corners [3]corner
	for _, t := range c.Inputs {
		r, ok := ranges[t.Name]
		delete(ranges, t.Name)
		switch n := len(t.Dims); {
		case !ok:
			bad("%s has no range", t.Name)
		case len(r.Min) != n || len(r.Opt) != n || len(r.Max) != n:
			bad("%s has %d dimensions, its range has %d, %d and %d", t.Name, n, len(r.Min), len(r.Opt), len(r.Max))
		default:
			for d := range n {
				if r.Min[d] < 0 || r.Min[d] > r.Opt[d] || r.Opt[d] > r.Max[d] {
					bad("%s dimension %d: %d, %d, %d is not 0 <= min <= opt <= max", t.Name, d, r.Min[d], r.Opt[d], r.Max[d])
				}
			}
			for i, shape := range [][]int64{r.Min, r.Opt, r.Max} {
				errs = append(errs, corners[i].add([]string{"min", "opt", "max"}[i], t, shape)...)
			}
		}
	}
	for _, r := range p.Inputs {
		if _, left := ranges[r.Input]; left {
			bad("%s is no input of the graph", r.Input)
		}
	}
	for i, at := range []string{"min", "opt", "max"} {
		if err := corners[i].sum(at); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// corner is what the inputs say of one pass: a size for each role, and the input
// that said so first.
type corner struct {
	sizes map[contract.Role]int64
	first map[contract.Role]string
}

func (c *corner) add(at string, t contract.Tensor, shape []int64) (errs []error) {
	if c.sizes == nil {
		c.sizes, c.first = map[contract.Role]int64{}, map[contract.Role]string{}
	}
	for i, d := range t.Dims {
		if d.Size > 0 {
			if shape[i] != d.Size {
				errs = append(errs, fmt.Errorf("%s dimension %d: the graph fixes it at %d, %s is %d", t.Name, i, d.Size, at, shape[i]))
			}
			continue
		}
		if size, known := c.sizes[d.Role]; known && size != shape[i] {
			errs = append(errs, fmt.Errorf("%s dimension %d: %s of %s is %d, %s has %d", t.Name, i, at, d.Role, shape[i], c.first[d.Role], size))
		} else if !known {
			c.sizes[d.Role], c.first[d.Role] = shape[i], t.Name
		}
	}
	return errs
}

// sum sees that total = past + sequence, where all three are said.
func (c *corner) sum(at string) error {
	total, ok1 := c.sizes[contract.Total]
	past, ok2 := c.sizes[contract.Past]
	seq, ok3 := c.sizes[contract.Seq]
	if ok1 && ok2 && ok3 && total != past+seq {
		return fmt.Errorf("%s at %s is %d, past %d and sequence %d make %d", c.first[contract.Total], at, total, past, seq, past+seq)
	}
	return nil
}
