package profiles

import (
	"strings"
	"testing"
)

// pair is profiles of ids and one cache tensor, prefill and decode.
func pair() []Profile {
	return []Profile{
		{Name: "prefill", Inputs: []Range{
			{Input: "ids", Min: []int64{1, 8}, Opt: []int64{1, 64}, Max: []int64{4, 512}},
			{Input: "past.0", Min: []int64{1, 4, 0}, Opt: []int64{1, 4, 0}, Max: []int64{4, 4, 0}},
			{Input: "past.1", Min: []int64{1, 4, 0}, Opt: []int64{1, 4, 0}, Max: []int64{4, 4, 0}}}},
		{Name: "decode", Inputs: []Range{
			{Input: "ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 1}},
			{Input: "past.0", Min: []int64{1, 4, 8}, Opt: []int64{1, 4, 64}, Max: []int64{4, 4, 1023}},
			{Input: "past.1", Min: []int64{1, 4, 8}, Opt: []int64{1, 4, 64}, Max: []int64{4, 4, 1023}}}},
	}
}

func TestCompare(t *testing.T) {
	for _, v := range []struct {
		name    string
		change  func(b []Profile) []Profile
		partial Partial
		want    string // lines
		unknown int
	}{
		{"nothing", func(b []Profile) []Profile { return b }, Partial{}, "", 0},
		{"names and the order of inputs", func(b []Profile) []Profile {
			b[0].Name, b[0].Inputs[0], b[0].Inputs[1] = "", b[0].Inputs[1], b[0].Inputs[0]
			return b
		}, Partial{}, "", 0},
		{"one size of two inputs", func(b []Profile) []Profile {
			b[1].Inputs[1].Max[2], b[1].Inputs[2].Max[2] = 2047, 2047
			return b
		}, Partial{}, "profile 1\n  past.0 (and 1 more) dimension 2: max 1023 becomes 2047", 0},
		{"their order", func(b []Profile) []Profile { return []Profile{b[1], b[0]} }, Partial{}, "profile 0 becomes profile 1\nprofile 1 becomes profile 0", 0},
		{"one before", func(b []Profile) []Profile {
			wide := pair()[0]
			wide.Inputs[0].Max[1] = 511
			return append([]Profile{wide}, b...)
		}, Partial{}, "profile 0 becomes profile 1\nprofile 1 becomes profile 2\nprofile 0 is new", 0},
		{"one less", func(b []Profile) []Profile { return b[1:] }, Partial{}, "profile 1 becomes profile 0\nprofile 0 is gone", 0},
		{"an input", func(b []Profile) []Profile { b[0].Inputs[2].Input = "past.9"; return b }, Partial{}, "profile 0\n  past.1 is gone\n  past.9 is new", 0},
		{"a rank", func(b []Profile) []Profile {
			r := &b[0].Inputs[0]
			r.Min, r.Opt, r.Max = r.Min[:1], r.Opt[:1], r.Max[:1]
			return b
		}, Partial{}, "profile 0\n  ids has 1 sizes instead of 2", 0},
		{"what a .profile does not tell", func(b []Profile) []Profile {
			for i := range b {
				for j := range b[i].Inputs[1:] {
					r := &b[i].Inputs[j+1]
					r.Min[1], r.Opt[1], r.Max[1] = Unknown, Unknown, Unknown
				}
			}
			b[0].Inputs = b[0].Inputs[:1:1] // past is 0 throughout: fixed
			b[1].Inputs[0].Opt[0] = 2
			b[1].Inputs[0].Min, b[1].Inputs[0].Max, b[1].Inputs[0].Opt = b[1].Inputs[0].Min[:1], b[1].Inputs[0].Max[:1], b[1].Inputs[0].Opt[:1]
			return b
		}, Partial{B: true}, "profile 0\n  past.0 (and 1 more) is gone\nprofile 1\n  ids dimension 0: opt 1 becomes 2", 1 + 2*3},
	} {
		got := Compare(pair(), v.change(pair()), v.partial)
		if text := strings.Join(got.Lines(), "\n"); text != v.want || got.Unknown != v.unknown || got.Same() != (v.want == "") {
			t.Errorf("%s: same %v, %d unknown\n%s\nwant %d\n%s", v.name, got.Same(), got.Unknown, text, v.unknown, v.want)
		}
	}
}
