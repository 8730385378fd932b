package lint

import (
	"fmt"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

const disagree = "TensorRT takes min, opt and max of each input by itself; a pass sets them together, and so does the builder when it measures kernels"

var jointRules = []Rule{
	{
		ID: "TF301", Severity: Error, Stricter: true,
		What:     "The mask is not past + sequence at min, opt or max",
		Why:      disagree + ". A mask of another length fits no pass",
		Fix:      "set the mask to past + sequence at min, at opt and at max",
		Prevents: "`violate shape constraints`, or a decode step whose mask lies outside the profile that holds its past",
		needs:    needs{contract: true}, check: broken(profiles.BreachSum),
	},
	{
		ID: "TF302", Severity: Error, Stricter: true,
		What:     "Inputs disagree about the batch",
		Why:      disagree,
		Fix:      "give every input the same batch",
		Prevents: "a batch that one input takes and another refuses with `does not satisfy any optimization profiles`",
		needs:    needs{contract: true}, check: broken(profiles.BreachBatch),
	},
	{
		ID: "TF303", Severity: Error, Stricter: true,
		What:     "Token ids and positions disagree about the sequence",
		Why:      disagree,
		Fix:      "give ids and positions the same length",
		Prevents: "`condition '==' violated` in the build, or a length that one of them refuses at run time",
		needs:    needs{contract: true}, check: broken(profiles.BreachSeq),
	},
	{
		ID: "TF304", Severity: Error, Stricter: true,
		What:     "Keys and values disagree about the past",
		Why:      disagree,
		Fix:      "give every cache tensor the same past",
		Prevents: "`EQUAL 9 8` from the builder, which names no input, or a past that one layer refuses at run time",
		needs:    needs{contract: true}, check: broken(profiles.BreachPast),
	},
	{
		ID: "TF305", Severity: Error, Stricter: true,
		What:     "Inputs disagree about a length whose name they share",
		Why:      disagree,
		Fix:      "give dimensions of one name one size at min, at opt and at max",
		Prevents: "`Dimensions with name ... must be equal`, or a shape that one input takes and another refuses",
		needs:    needs{inputs: true}, check: broken(profiles.BreachLength),
	},
	{
		ID: "TF306", Severity: Error, Stricter: true,
		What:     "The mask is longer than the cache that holds it",
		Why:      "new keys are written into a buffer of fixed length; what lies beyond its end is lost or overwrites something",
		Fix:      "raise the buffer's size or lower the mask's",
		Prevents: "a write beyond the cache: wrong tokens, or a fault",
		needs:    needs{contract: true}, check: broken(profiles.BreachBuffer),
	},
	{
		ID: "TF307", Severity: Error, Stricter: true,
		What:     "Past and sequence together reach beyond a table that the graph slices",
		Why:      "a causal mask or a rotary table of n rows is cut to the total length; at a corner beyond n the cut is shorter than the total and nothing fits it",
		Fix:      "set max past to n - max sequence, or use one profile for prefill and one for decode",
		Prevents: "`ISliceLayer ... out of bounds` in the build, or a broadcast that fails at run time",
		needs:    needs{graph: true, contract: true}, check: beyondTable,
	},
	{
		ID: "TF308", Severity: Warning, Stricter: true,
		What:     "A past or a sequence that the model has no positions for",
		Why:      "the model was trained with n positions; a longer past or sequence is read beyond the position table. (The sum at the corner of a wide profile may be larger: no pass asks for it)",
		Fix:      "lower max to the model's positions",
		Prevents: "a Gather out of range, or tokens without meaning; memory for what no pass can ask",
		needs:    needs{contract: true}, check: beyondPositions,
	},
	{
		ID: "TF309", Severity: Error, Stricter: true,
		What:     "Profiles whose cache buffers have no length in common",
		Why:      "the buffer that prefill fills is the one that decode reads: it has one length, which every profile must hold",
		Fix:      "give the buffer one range in all profiles",
		Prevents: "`does not satisfy any optimization profiles` at the first step after prefill",
		needs:    needs{contract: true}, check: apart,
	},
}

// apart compares every profile's buffer with what the profiles before it share.
func apart(l *look) (all []Finding) {
	var common *sided
	for i := range l.Profiles {
		for _, s := range l.sides(i, contract.Buffer) {
			switch {
			case common == nil:
				common = &s
			case s.min > common.max || s.max < common.min:
				all = append(all, Finding{Profile: i, Inputs: []string{s.input.Name}, Dim: s.dim, Message: fmt.Sprintf(
					"%s dimension %d is a buffer of %d to %d in profile %d, and of %d to %d in profile %d",
					s.input.Name, s.dim, s.min, s.max, i, common.min, common.max, common.profile)})
				return all
			default:
				common.min, common.max = max(common.min, s.min), min(common.max, s.max)
			}
		}
	}
	return all
}

// total is the longest past + sequence of a profile, or the longest sequence of
// a graph without past.
func (l *look) total(profile int) (sided, bool) {
	for _, role := range []contract.Role{contract.Total, contract.Seq} {
		if sides := l.sides(profile, role); len(sides) > 0 && (role == contract.Total || !l.Contract.Cached()) {
			return sides[0], true
		}
	}
	return sided{}, false
}

func beyondTable(l *look) (all []Finding) {
	for i := range l.Profiles {
		s, ok := l.total(i)
		if !ok {
			continue
		}
		for _, t := range l.Graph.Tables {
			if s.max > t.Rows {
				all = append(all, Finding{Profile: i, Inputs: []string{s.input.Name}, Dim: s.dim,
					Message: fmt.Sprintf("%s dimension %d reaches %d, and the graph slices %q, which has %d", s.input.Name, s.dim, s.max, t.Name, t.Rows)})
				break
			}
		}
	}
	return all
}

func beyondPositions(l *look) (all []Finding) {
	n := int64(l.Contract.MaxPositions)
	if n == 0 {
		return nil
	}
	for i := range l.Profiles {
		all = append(all, alike(l.sides(i, contract.Past, contract.Seq), func(s sided) string {
			// The last position is for the token that is fed, not for its past.
			limit := n
			if s.input.Dims[s.dim].Role == contract.Past && !l.PaddedPast {
				limit--
			}
			if s.max > limit {
				return fmt.Sprintf("reaches %d, and the model's %d positions leave %d", s.max, n, limit)
			}
			return ""
		})...)
	}
	return all
}
