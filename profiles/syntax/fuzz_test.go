package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// random makes profiles of any names and shapes that can be told apart.
func random(seed uint64) []profiles.Profile {
	r := rand.New(rand.NewPCG(seed, 1))
	letters := []rune("ab.0_:,'\"\\$ #;x=[](){}-?ü×\u2028`")
	var names []string
	for range 1 + r.IntN(4) {
		name := []rune{rune('a' + len(names))} // unlike the others
		for range r.IntN(5) {
			name = append(name, letters[r.IntN(len(letters))])
		}
		names = append(names, string(name))
	}
	sizes := func(n int) []int64 {
		s := make([]int64, n)
		for i := range s {
			s[i] = []int64{0, 1, r.Int64N(5000), 2147483647, -1}[r.IntN(5)]
		}
		return s
	}
	all := make([]profiles.Profile, 1+r.IntN(3))
	ranks := make([]int, len(names))
	for i := range ranks {
		ranks[i] = 1 + r.IntN(5)
	}
	for i := range all {
		for j, name := range names {
			all[i].Inputs = append(all[i].Inputs, profiles.Range{Input: name, Min: sizes(ranks[j]), Opt: sizes(ranks[j]), Max: sizes(ranks[j])})
		}
	}
	return all
}

// graph is a contract of the inputs of profiles.
func graph(all []profiles.Profile) *contract.Contract {
	c := &contract.Contract{}
	for _, r := range all[0].Inputs {
		t := contract.Tensor{Name: r.Input, Type: "int32"}
		for range r.Min {
			t.Dims = append(t.Dims, contract.Dim{Role: contract.Free})
		}
		c.Inputs = append(c.Inputs, t)
	}
	return c
}

// What is written reads back as it was, or is refused.
func FuzzEmit(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	names, _ := Names()
	byName := cmpopts.SortSlices(func(a, b profiles.Range) bool { return a.Input < b.Input })
	f.Fuzz(func(t *testing.T, seed uint64) {
		all := random(seed)
		for _, s := range names {
			text, err := Emit(s, Input{Profiles: all, Contract: graph(all)})
			if err != nil {
				if fault.Exit(err) != 4 {
					t.Errorf("%s: %v", s, err)
				}
				continue
			}
			got, err := ParseAs(s, text)
			if err != nil {
				t.Fatalf("%s: %v\n%s", s, err, text)
			}
			if d := cmp.Diff(all, got, append(meaning, byName)...); d != "" {
				t.Fatalf("%s: %s\n%s", s, d, text)
			}
		}
	})
}

// Any text gives profiles that can be written and read again, or errors of class
// input.
func FuzzParse(f *testing.F) {
	names, _ := Names()
	for _, s := range names {
		if text, err := Emit(s, Input{Profiles: two(), Contract: decoder()}); err == nil {
			f.Add(text)
		}
	}
	for _, text := range []string{
		"trtexec --profile=0 --minShapes=\"'a:0':1x2,b:scalar\" --optShapes \\\n--maxShapes='", "polygraphy --trt-min-shapes a:[1] 'b:[ 1, 2 ]' --trt-max-shapes",
		"['trtexec', '--minShapes=a:1', \"--optShapes=a:1\",'--maxShapes=a:1']", "x['trt_profile_min_shapes'] = (\"a:1\" 'b\\u00fc')", `key: "trt_profile_max_shapes" value { string_value: 'a:1' }`,
		"trt_profile_min_shapes='''a:1", "nv_profile_min_shapes: a:1;b", "# trtforge profiles.lock 1\nprofile 0\n \"a b\" values 1x? 1 scalar\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range names {
			all, err := ParseAs(s, text)
			if err != nil {
				if fault.Exit(err) != 4 || all != nil {
					t.Errorf("%s: %v %v", s, all, err)
				}
				continue
			}
			if len(all) == 0 {
				t.Fatalf("%s: neither profiles nor an error", s)
			}
			again, err := Emit(Lock, Input{Profiles: all})
			if err != nil {
				if !strings.Contains(err.Error(), "profile 0 ") { // a lock's profiles may name different inputs
					t.Errorf("%s: %v", s, err)
				}
				continue
			}
			if back, err := Parse(again); err != nil || len(back) != len(all) {
				t.Errorf("%s: %v\n%s", s, err, again)
			}
		}
		_, _ = Detect(text)
	})
}
