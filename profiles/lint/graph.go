package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
)

var graphRules = []Rule{
	{
		ID: "TF601", Severity: Warning,
		What:     "`If` in the graph",
		Why:      "a decoder that was merged from one with and one without past chooses between them with If; the branches have outputs of different shapes, which TensorRT does not take",
		Fix:      "export without merging: one graph that takes an empty past serves both phases",
		Prevents: "`Node has more output tensors than TRT expected`, or a graph cut in pieces",
		needs:    needs{graph: true}, check: branches,
	},
	{
		ID: "TF602", Severity: Error, Only: []Backend{TensorRT, RTX, Trtexec, Polygraphy, Triton},
		What:     "Operators that TensorRT's parser lacks",
		Why:      "the parser takes all of a graph or nothing. Operators of com.microsoft come from ONNX Runtime's own optimizer, which fuses for its own kernels",
		Fix:      "export without fusing: from PyTorch or the checkpoint, not from ONNX Runtime's optimizer",
		Prevents: "`No importer registered for op`, `Plugin not found`",
		needs:    needs{graph: true}, check: unparsed,
	},
	{
		ID: "TF603", Severity: Warning,
		What:     "INT64 constants beyond 32 bits that are computed with",
		Why:      "TensorRT before 10 clamps them to 32 bits. As ends of a Slice that is harmless, and those are not counted here",
		Fix:      "use constants within 32 bits, or TensorRT 10 or later",
		Prevents: "`One or more weights outside the range of INT32 was clamped`, and another result",
		needs:    needs{graph: true}, check: clamped,
	},
	{
		ID: "TF604", Severity: Info,
		What:     "INT64 constants beyond 32 bits as ends of a Slice",
		Why:      "exporters write the largest integer for \"to the end\"; clamped it means the same",
		Fix:      nothing,
		Prevents: "taking the warning `One or more weights outside the range of INT32 was clamped` for a fault",
		needs:    needs{graph: true}, check: harmless,
	},
	{
		ID: "TF605", Severity: Error,
		What:     "A cache that the other graph cannot take",
		Why:      "prefill and decode engines hand a cache of keys and values to each other. Its shapes and types must be the same, and so must its scale: smoothing that is folded into attention's values rescales present.value by channel, and only a graph with the same factors reads it as it was meant",
		Fix:      "make both graphs of one quantization, or quantize without folding into values",
		Prevents: "a decode step that reads a cache of another scale: no error, wrong tokens",
		needs:    needs{contract: true, other: true}, check: caches,
	},
}

// caches compares what the two graphs hand to each other, in both directions.
func caches(l *look) []Finding {
	err := contract.Interchangeable(l.Contract, l.Other)
	if err == nil {
		err = contract.Interchangeable(l.Other, l.Contract)
	}
	if err == nil {
		return nil
	}
	return []Finding{general(strings.ReplaceAll(err.Error(), "\n", "; "))}
}

func branches(l *look) []Finding {
	if n := len(l.Graph.Branches); n > 0 {
		return []Finding{general(fmt.Sprintf("%s: %s", plural(n, "node", "nodes"), listed(l.Graph.Branches)))}
	}
	return nil
}

func unparsed(l *look) []Finding {
	if ops := l.Graph.lacking(l.Backend); len(ops) > 0 {
		return []Finding{general(listed(ops))}
	}
	return nil
}

// narrow tells whether the parser makes 32-bit integers of 64-bit ones.
func (l *look) narrow() bool {
	return l.Backend != RTX && l.Backend != RTXEP && (l.Options.TRT == "" || before(l.Options.TRT, 10, 0))
}

func clamped(l *look) []Finding  { return wide(l, false) }
func harmless(l *look) []Finding { return wide(l, true) }

func wide(l *look, ends bool) []Finding {
	var names []string
	for _, c := range l.Graph.Int64 {
		if c.SliceEnd == ends {
			names = append(names, fmt.Sprintf("%q holds %d", c.Name, c.Value))
		}
	}
	if len(names) == 0 || !l.narrow() {
		return nil
	}
	return []Finding{general(listed(names))}
}

// listed names the first few of some things.
func listed(all []string) string {
	if len(all) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNamed], ", "), len(all)-maxNamed)
	}
	return strings.Join(all, ", ")
}

// lacking are the operators that the backend's parser does not take, with how
// often each occurs.
func (g *Graph) lacking(b Backend) (ops []string) {
	if g == nil {
		return nil
	}
	for _, op := range slices.Sorted(maps.Keys(g.Ops)) {
		if !takes(b, op) {
			ops = append(ops, fmt.Sprintf("%s (%d)", op, g.Ops[op]))
		}
	}
	return ops
}

// parts is in how many pieces at least TensorRT takes the graph, and the tensors
// that a piece gets from elsewhere. A piece cannot hold both what a foreign node
// needs and what comes of it, so the longest chain of alternations counts.
func (g *Graph) parts(b Backend) (n int, border []string) {
	type end struct {
		pieces int // on the longest way here
		theirs bool
	}
	ends := map[string]end{}
	seen := map[string]bool{}
	for _, node := range g.nodes {
		e := end{theirs: !takes(b, node.op)}
		if !e.theirs {
			e.pieces = 1
		}
		for _, in := range node.in {
			from, made := ends[in]
			if !made {
				continue
			}
			if from.theirs && !e.theirs {
				from.pieces++
				if !seen[in] {
					seen[in] = true
					border = append(border, in)
				}
			}
			e.pieces = max(e.pieces, from.pieces)
		}
		if !e.theirs {
			n = max(n, e.pieces)
		}
		for _, out := range node.out {
			ends[out] = e
		}
	}
	return n, border
}
