package lint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

var nameRules = []Rule{
	{
		ID: "TF101", Severity: Error, Stricter: true,
		What:     "A range names what is no input of the graph",
		Why:      "ONNX Runtime and TensorRT pass over names that they do not know, so a typing error leaves the real input without its range",
		Fix:      "use the names of the graph, as the contract lists them",
		Prevents: "an input with the default range, or an engine that is rebuilt at every start because the option names differ from its .profile",
		needs:    needs{inputs: true}, check: strangers,
	},
	{
		ID: "TF102", Severity: Error,
		What:     "An input that varies has no range",
		Why:      "every dynamic input needs one in every profile",
		Fix:      "give the input min, opt and max in every profile",
		Prevents: "`dynamic input is missing dimensions in profile N`; in ONNX Runtime `Following input(s) has no associated shape profiles provided`",
		needs:    needs{inputs: true}, check: broken(profiles.BreachMissing),
	},
	{
		ID: "TF103", Severity: Error, Stricter: true,
		What:     "An input has two ranges in one profile",
		Why:      "TensorRT keeps the last one; in ONNX Runtime's options the second one begins another profile",
		Fix:      "keep one of them",
		Prevents: "shapes that the lost range was meant to hold are refused at run time",
		check:    broken(profiles.BreachTwice),
	},
	{
		ID: "TF104", Severity: Error,
		What:     "An input has ranges in some profiles only",
		Why:      "in ONNX Runtime's options the n-th range of each name makes profile n, and counts that differ are not checked: it reads beyond the end of a list",
		Fix:      "give every dynamic input as many ranges as there are profiles",
		Prevents: "undefined behaviour in ONNX Runtime; `dynamic input is missing dimensions in profile N` elsewhere",
		needs:    needs{inputs: true}, check: broken(profiles.BreachUnequal),
	},
	{
		ID: "TF105", Severity: Error, Stricter: true,
		What:     "Of min, opt and max not all are given",
		Why:      "ONNX Runtime takes only max for no profile at all, silently, and only min for a warning; then it rebuilds the engine whenever a shape grows",
		Fix:      "give all three",
		Prevents: "an engine that is rebuilt inside Run for each new length",
		check:    broken(profiles.BreachPartial),
	},
	{
		ID: "TF106", Severity: Error, Only: []Backend{ORTTRT, RTXEP, Trtexec},
		What:     "A name that the option's syntax cannot carry",
		Why:      "ranges are split at commas and colons, and there is no way to quote them",
		Fix:      "rename the input and export again, or use a backend that takes profiles by its API",
		Prevents: "`The format of provider option 'trt_profile_min_shapes' is wrong`, and no profile at all",
		check:    unwritable,
	},
	{
		ID: "TF107", Severity: Error, Stricter: true,
		What:     "A size beyond 2147483647",
		Why:      "ONNX Runtime and trtexec read sizes as 32-bit integers; no tensor of such a size fits a GPU",
		Fix:      "lower it to what the workload asks for",
		Prevents: "an exception of std::stoi when the session is made, or an engine whose memory cannot be allocated",
		check:    overflowing,
	},
	{
		ID: "TF108", Severity: Error, Only: []Backend{TensorRT, RTX, ORTTRT, Trtexec, Polygraphy, Triton},
		What:     "No profile for a graph whose inputs vary",
		Why:      "ONNX Runtime's TensorRT EP then makes one around each new shape and rebuilds the engine inside Run: with a growing cache at every token, 30 to 100 s each. trtexec sets every varying size to 1. TensorRT refuses",
		Fix:      "derive profiles: trtforge profiles derive",
		Prevents: "a rebuild per token; `Network has dynamic or shape inputs, but no optimization profile has been defined`",
		needs:    needs{inputs: true}, check: unprofiled,
	},
	{
		ID: "TF109", Severity: Warning, Only: []Backend{RTXEP},
		What:     "No profile for a graph whose inputs vary",
		Why:      "the TensorRT-RTX EP then assumes 0 to 32767 with an optimum of 1 for every varying size, and pays for the memory of the largest",
		Fix:      "derive profiles: trtforge profiles derive",
		Prevents: "`No explicit optimization profile was specified`, memory for shapes that nobody asks for, kernels chosen for length 1",
		needs:    needs{inputs: true}, check: unprofiled,
	},
	{
		ID: "TF110", Severity: Warning, Only: []Backend{Trtexec},
		What:     "Ranges for a graph whose inputs are all of fixed size",
		Why:      "trtexec refuses shapes for a static model",
		Fix:      "leave the shapes away, or export with dynamic dimensions",
		Prevents: "`Static model does not take explicit shapes`",
		needs:    needs{inputs: true}, check: needless,
	},
}

// strangers leaves out tensors at the border of a subgraph, which ONNX Runtime
// wants named though they are no inputs of the whole graph.
func strangers(l *look) (all []Finding) {
	for _, f := range broken(profiles.BreachUnknown)(l) {
		f.Inputs = slices.DeleteFunc(f.Inputs, func(name string) bool { return slices.Contains(l.border, name) })
		if len(f.Inputs) == 0 {
			continue
		}
		f.Message = several(f.Inputs) + " is no input of the graph"
		if len(all) < maxGuesses {
			if near := nearest(f.Inputs[0], l.inputs.Inputs); near != "" {
				f.Fix = fmt.Sprintf("is %q meant?", near)
			}
		}
		all = append(all, f)
	}
	return all
}

// nearest is the input whose name differs least, or "" where none is alike.
func nearest(name string, inputs []contract.Tensor) string {
	best, least := "", 1+len(name)/3
	for _, t := range inputs {
		if len(t.Name) > maxName || len(name) > maxName {
			continue
		}
		if d := distance(name, t.Name); d < least {
			best, least = t.Name, d
		}
	}
	return best
}

// Longer names are not compared, and not more of them: the effort grows with the
// square of the length, and with both counts.
const maxName, maxGuesses = 200, 20

// distance is Levenshtein's: insertions, deletions and replacements.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func unwritable(l *look) (all []Finding) {
	var names []string
	for _, p := range l.Profiles {
		for _, r := range p.Inputs {
			if (r.Input == "" || strings.ContainsAny(r.Input, ",:")) && !slices.Contains(names, r.Input) {
				names = append(names, r.Input)
				all = append(all, Finding{Profile: -1, Inputs: []string{r.Input}, Dim: -1, Message: fmt.Sprintf("%q cannot be written as name:sizes", r.Input)})
			}
		}
	}
	return all
}

func overflowing(l *look) []Finding {
	var all []remark
	for i, p := range l.Profiles {
		for _, r := range p.Inputs {
			for d := range max(len(r.Min), len(r.Opt), len(r.Max)) {
				for _, shape := range [][]int64{r.Max, r.Opt, r.Min} {
					if d < len(shape) && (shape[d] > math.MaxInt32 || shape[d] < math.MinInt32) {
						all = append(all, remark{i, r.Input, d, fmt.Sprintf("is %d", shape[d])})
						break
					}
				}
			}
		}
	}
	return together(all)
}

// varying are the inputs that have a dimension that varies.
func (l *look) varying() (names []string) {
	for _, t := range l.inputs.Inputs {
		if slices.ContainsFunc(t.Dims, func(d contract.Dim) bool { return d.Size == 0 }) {
			names = append(names, t.Name)
		}
	}
	return names
}

func unprofiled(l *look) []Finding {
	names := l.varying()
	if len(l.Profiles) > 0 || len(names) == 0 {
		return nil
	}
	f := general(several(names) + " varies, and there is no profile")
	f.Inputs = names
	return []Finding{f}
}

func needless(l *look) []Finding {
	if len(l.Profiles) == 0 || len(l.varying()) > 0 {
		return nil
	}
	return []Finding{general("every input has a fixed shape")}
}
