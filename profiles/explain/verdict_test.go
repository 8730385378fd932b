package explain

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/profiles"
)

const twoRanges = "[TRT] [E] IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: satisfyProfile. Set dimension [4,300] for tensor input_ids does not satisfy any optimization profiles. Valid range for profile 0: [1,1]..[4,1]. Valid range for profile 1: [1,27]..[4,200].)"

func ids(ranges ...[2]int64) (all []profiles.Profile) {
	for _, r := range ranges {
		all = append(all, profiles.Profile{Inputs: []profiles.Range{{Input: "input_ids", Min: []int64{1, r[0]}, Opt: []int64{1, r[1]}, Max: []int64{4, r[1]}}}})
	}
	return all
}

// A log that lists the ranges, or a plan, tells a shape that no profile holds from
// a profile that was not selected.
func TestVerdict(t *testing.T) {
	one := outside("input_ids", []int64{4, 300}, []int64{1, 1}, []int64{4, 1}, 0)
	const every, selected = "A shape lies outside every optimization profile", "A shape lies outside the selected optimization profile"
	for name, test := range map[string]struct {
		log        string
		plan       []profiles.Profile
		title, fix string
	}{
		"the log knows":                {twoRanges, nil, every, "rebuild with a max of 300 in dimension 1 in profile 1"},
		"the plan knows":               {one, ids([2]int64{1, 1}, [2]int64{27, 200}), every, "rebuild with a max of 300 in dimension 1 in profile 1"},
		"both know":                    {twoRanges, ids([2]int64{1, 1}, [2]int64{27, 200}), every, "rebuild with a max of 300 in dimension 1 in profile 1"},
		"another holds it":             {one, ids([2]int64{1, 1}, [2]int64{27, 400}), selected, "select profile 1, which holds 4x300"},
		"another holds it, by the log": {strings.Replace(twoRanges, "[4,200]", "[4,400]", 1), nil, selected, "select profile 1, which holds 4x300"},
		"nobody knows":                 {one, nil, selected, "select a profile that holds 300"},
		"ONNX Runtime":                 {"[E:onnxruntime:] " + twoRanges, nil, every, "widen profile 0"},
	} {
		f := explained(t, test.log, Context{Profiles: test.plan}).Root()
		if f.Title != test.title || !strings.Contains(f.Fix, test.fix) {
			t.Errorf("%s: %s\n%s", name, f.Title, f.Fix)
		}
	}
	// The log's other profile is not the plan's.
	f := explained(t, twoRanges, Context{Profiles: ids([2]int64{1, 1}, [2]int64{27, 400})}).Root()
	if n := strings.Join(f.Correction.Notes, " "); !strings.Contains(n, "engine's profile 1 takes input_ids from 1x27 to 4x200") || !strings.Contains(n, "stale") {
		t.Errorf("%s", n)
	}
}
