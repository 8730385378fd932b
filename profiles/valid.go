package profiles

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
)

// Breach is a rule of profiles that holds whatever the backend.
type Breach string

// The rules. Those after BreachFixed are stricter than NVIDIA's builders, which
// make plans that break them and fail at run time.
const (
	BreachUnknown  Breach = "unknown"  // a range for what is no input of the graph
	BreachMissing  Breach = "missing"  // a dynamic input has no range in any profile
	BreachUnequal  Breach = "unequal"  // an input has ranges in some profiles only
	BreachTwice    Breach = "twice"    // an input has two ranges in one profile
	BreachPartial  Breach = "partial"  // one or two of min, opt and max are given
	BreachRank     Breach = "rank"     // another number of sizes than the input has dimensions
	BreachNegative Breach = "negative" // a size below 0
	BreachOrder    Breach = "order"    // not min <= opt <= max
	BreachValues   Breach = "values"   // values for what cannot be a shape tensor of so many
	BreachFixed    Breach = "fixed"    // the graph fixes the dimension at another size
	BreachBatch    Breach = "batch"    // inputs disagree about the batch
	BreachSeq      Breach = "seq"      // about the new tokens
	BreachPast     Breach = "past"     // about the past
	BreachLength   Breach = "length"   // about another size that they share
	BreachSum      Breach = "sum"      // total is not past + sequence
	BreachBuffer   Breach = "buffer"   // total is longer than the cache that holds it
)

// Violation is one broken rule.
type Violation struct {
	Breach  Breach
	Profile int
	Input   string
	Dim     int    // -1: of no single dimension
	At      string // "min", "opt" or "max" of a rule that holds at each of them; else ""
	Message string
}

// Validate holds profiles against a graph and returns every violation at once:
// inputs that are missing or that the graph does not have, ranks, min <= opt <=
// max, sizes that the graph fixes, and at min, opt and max each one batch, one
// sequence, one past, and a total that is past + sequence. [Violations] are the
// same as data.
func Validate(c *contract.Contract, all []Profile) error {
	var errs []error
	for _, v := range Violations(c, all) {
		errs = append(errs, fmt.Errorf("profile %d (%s): %s", v.Profile, all[v.Profile].Name, v.Message))
	}
	return errors.Join(errs...)
}

// Violations is everything that is wrong with profiles, in their order. Without a
// contract only what the profiles themselves say is judged.
func Violations(c *contract.Contract, all []Profile) []Violation {
	var found []Violation
	named := make(map[string]int)
	for _, p := range all {
		seen := make(map[string]bool, len(p.Inputs))
		for _, r := range p.Inputs {
			if !seen[r.Input] {
				seen[r.Input] = true
				named[r.Input]++
			}
		}
	}
	for i, p := range all {
		v := validator{profile: i, of: len(all), named: named}
		ranges := v.ranges(p)
		if c != nil {
			v.against(c, ranges)
			v.strangers(c, p)
		}
		found = append(found, v.found...)
	}
	return found
}

// validator collects the violations of one profile.
type validator struct {
	profile, of int
	named       map[string]int // by input, the profiles that have a range for it
	found       []Violation
}

func (v *validator) bad(b Breach, input string, dim int, at, format string, args ...any) {
	v.found = append(v.found, Violation{b, v.profile, input, dim, at, fmt.Sprintf(format, args...)})
}

// ranges is the profile's ranges by input, after a look at each by itself. Of
// two for one input the last counts, as in TensorRT.
func (v *validator) ranges(p Profile) map[string]Range {
	ranges := make(map[string]Range, len(p.Inputs))
	for _, r := range p.Inputs {
		if _, twice := ranges[r.Input]; twice {
			v.bad(BreachTwice, r.Input, -1, "", "%s has two ranges", r.Input)
		}
		ranges[r.Input] = r
		if lacks := r.lacks(); len(lacks) > 0 {
			v.bad(BreachPartial, r.Input, -1, "", "%s has no %s", r.Input, strings.Join(lacks, " and no "))
			continue
		}
		for d := range min(len(r.Min), len(r.Opt), len(r.Max)) {
			lo, opt, hi := r.Min[d], r.Opt[d], r.Max[d]
			switch {
			case lo == Unknown || opt == Unknown || hi == Unknown: // nothing is said
			case !r.Values && min(lo, opt, hi) < 0:
				v.bad(BreachNegative, r.Input, d, "", "%s dimension %d: %d, %d, %d is not 0 <= min <= opt <= max", r.Input, d, lo, opt, hi)
			case lo > opt || opt > hi:
				v.bad(BreachOrder, r.Input, d, "", "%s dimension %d: %d, %d, %d is not 0 <= min <= opt <= max", r.Input, d, lo, opt, hi)
			}
		}
		if len(r.Min) != len(r.Opt) || len(r.Max) != len(r.Opt) {
			v.bad(BreachRank, r.Input, -1, "", "%s has %d sizes at min, %d at opt and %d at max", r.Input, len(r.Min), len(r.Opt), len(r.Max))
		}
	}
	return ranges
}

// lacks names what a range leaves out. A scalar has no sizes and lacks nothing.
func (r Range) lacks() (names []string) {
	if len(r.Min)+len(r.Opt)+len(r.Max) == 0 {
		return nil
	}
	for i, shape := range r.corners() {
		if len(shape) == 0 {
			names = append(names, cornerNames[i])
		}
	}
	return names
}

var cornerNames = [3]string{"min", "opt", "max"}

func (r Range) corners() [3][]int64 { return [3][]int64{r.Min, r.Opt, r.Max} }

// against holds the ranges against the inputs of a graph.
func (v *validator) against(c *contract.Contract, ranges map[string]Range) {
	var corners [3]corner
	for _, t := range c.Inputs {
		r, ok := ranges[t.Name]
		switch n := len(t.Dims); {
		case !dynamic(t) && len(r.Min)+len(r.Opt)+len(r.Max) == 0: // TensorRT takes its shape from the graph
		case !ok:
			v.unranged(t.Name)
		case len(r.lacks()) > 0: // said already
		case r.Values:
			v.values(t, r)
			if len(t.Values) == len(r.Min) && len(t.Values) == len(r.Max) {
				t.Dims = t.Values
				for i, values := range r.corners() {
					corners[i].add(v, cornerNames[i], t, values)
				}
			}
		case len(r.Min) != n || len(r.Opt) != n || len(r.Max) != n:
			if len(r.Min) == len(r.Opt) && len(r.Max) == len(r.Opt) {
				v.bad(BreachRank, t.Name, -1, "", "%s has %d dimensions, its range has %d", t.Name, n, len(r.Min))
			}
		default:
			v.fixed(t, r)
			for i, shape := range r.corners() {
				corners[i].add(v, cornerNames[i], t, shape)
			}
		}
	}
	for i, at := range cornerNames {
		corners[i].sum(v, at)
	}
}

// fixed are the sizes that the graph fixes at others.
func (v *validator) fixed(t contract.Tensor, r Range) {
	for i, d := range t.Dims {
		other := func(n int64) bool { return n != d.Size && n != Unknown }
		if lo, opt, hi := r.Min[i], r.Opt[i], r.Max[i]; d.Size > 0 && (other(lo) || other(opt) || other(hi)) {
			v.bad(BreachFixed, t.Name, i, "", "%s dimension %d: the graph fixes it at %d, min, opt and max are %d, %d, %d", t.Name, i, d.Size, lo, opt, hi)
		}
	}
}

func dynamic(t contract.Tensor) bool {
	return slices.ContainsFunc(t.Dims, func(d contract.Dim) bool { return d.Size == 0 })
}

// unranged tells an input that nobody names from one that some profiles name.
func (v *validator) unranged(input string) {
	n := v.named[input]
	if n == 0 {
		v.bad(BreachMissing, input, -1, "", "%s has no range", input)
		return
	}
	v.bad(BreachUnequal, input, -1, "", "%s has no range, and has one in %d of %d profiles", input, n, v.of)
}

// values sees that an input can be a shape tensor of as many values.
func (v *validator) values(t contract.Tensor, r Range) {
	want := int64(1)
	for _, d := range t.Dims {
		want *= d.Size // a shape tensor's own shape is fixed
	}
	switch n := int64(len(r.Min)); {
	case t.Type != "int32" && t.Type != "int64":
		v.bad(BreachValues, t.Name, -1, "", "%s is %s, and only int32 and int64 tensors have values in a profile", t.Name, t.Type)
	case len(t.Dims) > 1:
		v.bad(BreachValues, t.Name, -1, "", "%s has %d dimensions, a shape tensor has one or none", t.Name, len(t.Dims))
	case want > 0 && n != want:
		v.bad(BreachValues, t.Name, -1, "", "%s holds %d values, its range has %d", t.Name, want, n)
	case n > contract.MaxValues:
		v.bad(BreachValues, t.Name, -1, "", "%s has %d values, a shape tensor has at most %d", t.Name, n, contract.MaxValues)
	}
}

// strangers are ranges of what the graph does not have.
func (v *validator) strangers(c *contract.Contract, p Profile) {
	names := make(map[string]bool, len(c.Inputs))
	for _, t := range c.Inputs {
		names[t.Name] = true
	}
	for _, r := range p.Inputs {
		if !names[r.Input] {
			v.bad(BreachUnknown, r.Input, -1, "", "%s is no input of the graph", r.Input)
			names[r.Input] = true // once
		}
	}
}

// shared is what must be one size in a whole pass: a role, or of free
// dimensions those of one name.
type shared struct {
	role   contract.Role
	symbol string
}

// corner is what the inputs say of one pass: a size for each role, and the input
// that said so first.
type corner struct {
	sizes map[shared]int64
	first map[shared]string
}

func (c *corner) add(v *validator, at string, t contract.Tensor, shape []int64) {
	if c.sizes == nil {
		c.sizes, c.first = map[shared]int64{}, map[shared]string{}
	}
	for i, d := range t.Dims {
		k := shared{role: d.Role}
		if d.Role == contract.Free {
			k.symbol = d.Symbol
		}
		size := shape[i]
		if d.Size > 0 {
			size = d.Size
		}
		if size == Unknown {
			continue
		}
		// A batch fixed at 1 is broadcast; a free dimension without a name is its own.
		if d.Role == contract.Static || d.Role == contract.Batch && d.Size > 0 || k == (shared{role: contract.Free}) {
			continue
		}
		other, known := c.sizes[k]
		if known && other != size {
			v.bad(disagreement(d.Role), t.Name, i, at, "%s dimension %d: %s of %s is %d, %s has %d", t.Name, i, at, k.name(), size, c.first[k], other)
		} else if !known {
			c.sizes[k], c.first[k] = size, t.Name
		}
	}
}

func (k shared) name() string {
	if k.symbol != "" {
		return k.symbol
	}
	return string(k.role)
}

func disagreement(r contract.Role) Breach {
	switch r {
	case contract.Batch:
		return BreachBatch
	case contract.Seq:
		return BreachSeq
	case contract.Past:
		return BreachPast
	}
	return BreachLength
}

// sum sees that total = past + sequence, where all three are said, and that a
// buffer holds total.
func (c *corner) sum(v *validator, at string) {
	get := func(r contract.Role) (int64, bool) {
		n, ok := c.sizes[shared{role: r}]
		return n, ok
	}
	total, said := get(contract.Total)
	input := c.first[shared{role: contract.Total}]
	past, ok1 := get(contract.Past)
	seq, ok2 := get(contract.Seq)
	if said && ok1 && ok2 && total != past+seq {
		v.bad(BreachSum, input, -1, at, "%s at %s is %d, past %d and sequence %d make %d", input, at, total, past, seq, past+seq)
	}
	if room, ok := get(contract.Buffer); said && ok && total > room {
		v.bad(BreachBuffer, input, -1, at, "%s at %s is %d, the cache has room for %d", input, at, total, room)
	}
}
