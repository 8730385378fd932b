package lint

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

var rangeRules = []Rule{
	{
		ID: "TF201", Severity: Error,
		What:     "A size below 0",
		Why:      "a size is 0 or more; -1 means \"varies\" in a graph, and nothing in a profile",
		Fix:      "want 0 <= min <= opt <= max",
		Prevents: "a parameter check of setDimensions that fails, and then `dynamic input is missing dimensions in profile N`",
		check:    broken(profiles.BreachNegative),
	},
	{
		ID: "TF202", Severity: Error,
		What:     "Not min <= opt <= max",
		Why:      "the builder refuses such a profile; a build that has others goes on without it",
		Fix:      "put the three in order",
		Prevents: "`Specified optimization profiles must satisfy MIN<=OPT<=MAX`, or an engine with a profile less",
		check:    broken(profiles.BreachOrder),
	},
	{
		ID: "TF203", Severity: Error,
		What:     "A range has another number of sizes than its input has dimensions",
		Why:      "ONNX Runtime reads beyond the end of a range that is too short, and passes over the rest of one that is too long",
		Fix:      "give one size for each dimension",
		Prevents: "undefined behaviour in ONNX Runtime; `number of dimensions is A but profile 0 has B` elsewhere",
		check:    broken(profiles.BreachRank),
	},
	{
		ID: "TF204", Severity: Error,
		What:     "A dimension that the graph fixes is given another size",
		Why:      "TensorRT wants min = opt = max = the graph's size; ONNX Runtime takes the graph's and says nothing, so the engine does not do what its profile says",
		Fix:      "give the graph's size, or export with that dimension dynamic",
		Prevents: "`Static dimension mismatch while setting input shape`, or an engine that is narrower than its options say",
		needs:    needs{inputs: true}, check: broken(profiles.BreachFixed),
	},
	{
		ID: "TF205", Severity: Error, Stricter: true,
		What:     "Values for an input that cannot have them",
		Why:      "only 32- and 64-bit integer tensors of one or no dimension and at most 64 elements are shape tensors, and each element has a value at min, opt and max",
		Fix:      "give shapes, or one value an element",
		Prevents: "`The data type of shape tensor should be INT32 or INT64`",
		needs:    needs{inputs: true}, check: broken(profiles.BreachValues),
	},
	{
		ID: "TF206", Severity: Error,
		What:     "The contents of an input decide shapes, and the profile has no values for it",
		Why:      "for a shape tensor TensorRT needs the values it takes, not its shape",
		Fix:      "give its values at min, opt and max (profiles derive does, with --bind INPUT:values=ROLE), or compute that shape from other inputs' shapes",
		Prevents: "`optimization profile is missing values for shape input`",
		needs:    needs{graph: true}, check: valueless,
	},
	{
		ID: "TF207", Severity: Warning, Stricter: true,
		What:     "A batch or sequence of 0",
		Why:      "no pass asks for it, and kernels for empty tensors are chosen all the same",
		Fix:      "raise min to 1",
		Prevents: "division by a length of 0, or NaN from a softmax over nothing, in kernels that nobody meant",
		needs:    needs{contract: true}, check: empty,
	},
	{
		ID: "TF208", Severity: Error, Stricter: true,
		What:     "A past of 0 where the builder refuses a size of 0",
		Why:      "TensorRT before 7.1 and Torch-TensorRT take no empty tensors",
		Fix:      "begin with one padded token of past under a mask of 0, or export the prefill without past inputs",
		Prevents: "a build that fails on the first profile with past 0",
		needs:    needs{contract: true}, check: zeroPast,
	},
}

func valueless(l *look) (all []Finding) {
	for i := range l.Profiles {
		for _, name := range l.Graph.ShapeInputs {
			if !l.ranges[i][name].Values {
				all = append(all, Finding{Profile: i, Inputs: []string{name}, Dim: -1, Message: name + " is a shape tensor and has no values"})
			}
		}
	}
	return all
}

// sided is a dimension of a profile's range.
type sided struct {
	profile  int
	input    contract.Tensor
	dim      int
	min, opt int64
	max      int64
}

// sides are the ranges of every dimension of a role that varies.
func (l *look) sides(profile int, roles ...contract.Role) (all []sided) {
	for _, t := range l.inputs.Inputs {
		r := l.ranges[profile][t.Name]
		if n := len(t.Dims); n == 0 || r.Values || len(r.Min) != n || len(r.Opt) != n || len(r.Max) != n {
			continue
		}
		for i, d := range t.Dims {
			if d.Size == 0 && slices.Contains(roles, d.Role) {
				all = append(all, sided{profile, t, i, r.Min[i], r.Opt[i], r.Max[i]})
			}
		}
	}
	return all
}

// alike makes one finding of all sides of a profile for which said gives the
// same text.
func alike(sides []sided, said func(sided) string) []Finding {
	var all []remark
	for _, s := range sides {
		if text := said(s); text != "" {
			all = append(all, remark{s.profile, s.input.Name, s.dim, text})
		}
	}
	return together(all)
}

// remark is what is said of a dimension of an input.
type remark struct {
	profile int
	input   string
	dim     int
	said    string
}

// together makes one finding of all remarks that differ in their input alone.
func together(remarks []remark) (all []Finding) {
	at := map[remark]int{}
	for _, r := range remarks {
		key := r
		key.input = ""
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, Finding{Profile: r.profile, Dim: r.dim, Message: r.said})
		}
		all[i].Inputs = append(all[i].Inputs, r.input)
	}
	for i, f := range all {
		all[i].Message = fmt.Sprintf("%s dimension %d %s", several(f.Inputs), f.Dim, f.Message)
	}
	return all
}

func empty(l *look) (all []Finding) {
	for i := range l.Profiles {
		all = append(all, alike(l.sides(i, contract.Batch, contract.Seq), func(s sided) string {
			if s.min == 0 {
				return "may be 0"
			}
			return ""
		})...)
	}
	return all
}

func zeroPast(l *look) (all []Finding) {
	if old := before(l.Options.TRT, 7, 1); !l.Options.NoZero && !old {
		return nil
	}
	for i := range l.Profiles {
		all = append(all, alike(l.sides(i, contract.Past), func(s sided) string {
			if s.min == 0 {
				return "has min 0, and the builder refuses that"
			}
			return ""
		})...)
	}
	return all
}
