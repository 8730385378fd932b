package lint

import (
	"fmt"

	"github.com/trtforge/trtforge/profiles"
)

var demandRules = []Rule{
	{
		ID: "TF401", Severity: Error, Stricter: true,
		What:     "Demanded shapes lie outside every profile that can be reached",
		Why:      "the builder does not know what will be asked for; TensorRT refuses every shape outside the profile that runs",
		Fix:      "widen the nearest profile, or derive profiles from the workload",
		Prevents: "`Set dimension [..] for tensor X does not satisfy any optimization profiles`, at the step that is named; in ONNX Runtime `failed to call nvinfer1::IExecutionContext::setInputShape()`",
		needs:    needs{contract: true, demand: true}, check: outside,
	},
	{
		ID: "TF402", Severity: Error, Stricter: true,
		What:     "The workload asks for a size that the graph does not have",
		Why:      "no profile can give what the export fixed",
		Fix:      "export the graph with that dimension dynamic",
		Prevents: "`Static dimension mismatch while setting input shape`",
		needs:    needs{contract: true, demand: true}, check: refused,
	},
	{
		ID: "TF403", Severity: Error, Stricter: true,
		What:     "The workload asks for more tokens than the model has positions",
		Why:      "n_positions bounds past + sequence of every pass",
		Fix:      "shorten the prompts or generate fewer tokens",
		Prevents: "a Gather out of range, or tokens without meaning",
		needs:    needs{contract: true, demand: true}, check: tooLong,
	},
}

func outside(l *look) []Finding { return ungiven(l, false) }
func refused(l *look) []Finding { return ungiven(l, true) }

func ungiven(l *look, fixed bool) (all []Finding) {
	passes := profiles.Passes(l.Demand)
	for i := range l.gaps {
		g := &l.gaps[i]
		if fixedBy(*g) != fixed {
			continue
		}
		f := Finding{Profile: g.Profile, Dim: -1, Message: message(*g, passes), Fix: correction(*g), Uncovered: g}
		for _, o := range g.Outside {
			f.Inputs = append(f.Inputs, o.Inputs...)
		}
		if len(g.Outside) == 1 {
			f.Dim = g.Outside[0].Dim
		}
		all = append(all, f)
	}
	return all
}

func tooLong(l *look) []Finding {
	positions := l.Contract.MaxPositions
	if l.PaddedPast {
		positions++
	}
	var longest profiles.Shape
	n := 0
	for _, s := range l.Demand {
		last := s.Last()
		if l.Contract.MaxPositions == 0 || last.Total() <= positions {
			continue
		}
		n += s.Shapes() / max(s.Run, 1) * min(max(s.Run, 1), last.Total()-positions)
		if last.Total() > longest.Total() {
			longest = last
		}
	}
	if n == 0 {
		return nil
	}
	return []Finding{general(fmt.Sprintf("%s beyond the model's %d positions, the longest %s: %d",
		plural(n, "shape reaches", "shapes reach"), l.Contract.MaxPositions, longest, longest.Total()))}
}
