package explain

import (
	"fmt"
	"strconv"

	"github.com/trtforge/trtforge/contract"
)

// statics are the patterns about an axis that the engine holds fixed.
var statics = []string{"shape-static-mismatch", "trtexec-static-shapes", "ort-invalid-dimensions"}

// dimension is what the contract says of an axis; nil where it says nothing.
func dimension(c *contract.Contract, input string, axis int) (*contract.Tensor, *contract.Dim) {
	if c == nil || axis < 0 {
		return nil, nil
	}
	for i := range c.Inputs {
		if t := &c.Inputs[i]; t.Name == input && axis < len(t.Dims) {
			return t, &t.Dims[axis]
		}
	}
	return nil, nil
}

// fixed explains an axis by its role: a size that each request chooses can be
// exported dynamic. Any other is what the model is made of.
func (d *diagnosis) fixed(input string, axis int) bool {
	t, dim := dimension(d.Contract, input, axis)
	if dim == nil || dim.Size <= 0 {
		return false
	}
	switch dim.Role {
	case contract.Batch, contract.Seq, contract.Past, contract.Total:
		d.note("the graph fixes dimension %d of %s (%s) at %d: export it with that dimension dynamic; no profile can help", axis, input, dim.Role, dim.Size)
		d.f.Fix = fmt.Sprintf("export the model with dimension %d of %s (%s) dynamic and build again, or give %d there", axis, input, dim.Role, dim.Size)
		return true
	}
	d.foreign(input, axis, dim.Size, partOf(t, axis))
	return true
}

// foreign says whose size it is that differs from the model's.
func (d *diagnosis) foreign(input string, axis int, has int64, part string) {
	f := d.f
	given, err := strconv.ParseInt(f.Fields["size"], 10, 64)
	what := fmt.Sprintf("dimension %d", axis)
	if part != "" {
		what += " (" + part + ")"
	}
	switch {
	case err == nil && given == has:
		d.note("%s is %d in this model and in the array: the engine was built from another model; no profile can help", what, has)
		f.Cause = fmt.Sprintf("dimension %d of %s is %d in this model and in the array, the engine holds another size: it was built from another model or is stale", axis, input, has)
		f.Fix = "delete the engine and its cache, and build it from this model"
	case part == "":
		d.note("%s is fixed at %d in the model: either the array is of another model, or that axis was exported static and each request should choose it; no profile can help", what, has)
		f.Fix = fmt.Sprintf("give %d in dimension %d of %s; if that axis is one which each request chooses, export it dynamic and build again", has, axis, input)
	case err != nil:
		d.note("%s is %d in this model, no request chooses it: an array with another size is of another model; no profile and no export can help", what, has)
		f.Fix = fmt.Sprintf("give arrays of this model, with %d in dimension %d of %s", has, axis, input)
	default:
		d.note("%s is %d in the array, the model has %d: no request chooses it; no profile and no export can help", what, given, has)
		f.Cause = fmt.Sprintf("the array for %s is of another model: its dimension %d, %s, is %d, the model has %d", input, axis, part, given, has)
		f.Fix = fmt.Sprintf("give arrays of this model, with %d in dimension %d of %s, or run the model that the array is of", has, axis, input)
	}
}

// partOf is what a size that no request chooses is, in words; "" where nobody
// knows.
func partOf(t *contract.Tensor, axis int) string {
	cache := t.Kind == contract.KindPastKey || t.Kind == contract.KindPastValue
	switch {
	case t.Dims[axis].Role == contract.Buffer:
		return "the capacity of the cache"
	case cache && len(t.Dims) == 4 && axis == 1:
		return "heads"
	case cache && axis == len(t.Dims)-1:
		return "head size"
	case cache || t.Kind == contract.KindIDs || t.Kind == contract.KindMask || t.Kind == contract.KindPositions:
		return "static"
	}
	return ""
}
