//go:build cgo

package lint_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/lint"
)

// TestCorners runs the decoder in ONNX Runtime at the corners of random plans:
// where the joint rules hold it runs, and where they are broken it fails.
// Where they are broken sizes are 2 or more and there is a past: a size of 1 is
// broadcast, and the batch of an empty cache is not looked at, which hides that
// they are wrong until the next step.
func TestCorners(t *testing.T) {
	if err := ort.Init(testenv.ORT(t)); err != nil {
		t.Fatal(err)
	}
	m := gpt2(t)
	s, err := ort.Open(m.path, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	r := rand.New(rand.NewPCG(118, 1))
	ran, failed := 0, map[string]int{}
	for range 200 {
		broken := r.IntN(2) == 0
		size := func(least, most int64) (all [3]int64) {
			lo := least + r.Int64N(most-least)
			return [3]int64{lo, lo + r.Int64N(most-lo+1), most}
		}
		p := profiles.Profile{}
		sizes := spans{"batch": size(2, 5), "seq": size(2, 9), "past": size(0, 20)}
		if broken {
			sizes["past"] = size(1, 20)
		}
		for _, in := range m.graph.Inputs {
			p.Inputs = append(p.Inputs, m.fill(in, sizes))
		}
		role := []contract.Role{contract.Total, contract.Batch, contract.Seq, contract.Past}[r.IntN(4)]
		corner := r.IntN(3)
		if broken {
			anywhereAt(r, m, &p, role, corner)
		}
		for i := range 3 {
			shapes := at(p, i)
			rules := joint(m, shapes)
			err := feed(s, shapes)
			switch {
			case len(rules) == 0 && err != nil:
				t.Errorf("called consistent, and fails: %v: %v", shapes, err)
			case len(rules) > 0 && err == nil:
				t.Errorf("%v at %v, and it runs", rules, shapes)
			case err == nil:
				ran++
			default:
				failed[rules[0]]++
			}
			if (len(rules) > 0) != (broken && i == corner) {
				t.Errorf("broken %t at %d of %d, rules %v", broken, i, corner, rules)
			}
		}
	}
	t.Logf("%d consistent corners ran; inconsistent ones that failed, by rule: %s", ran, counts(failed))
}

// anywhereAt makes one input differ in a role at one corner.
func anywhereAt(r *rand.Rand, m model, p *profiles.Profile, role contract.Role, corner int) {
	all := dims(m, p, func(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool { return d.Size == 0 && d.Role == role })
	x := all[r.IntN(len(all))]
	in := &p.Inputs[x[0]]
	[][]int64{in.Min, in.Opt, in.Max}[corner][x[1]] += 1 + r.Int64N(3)
}

// at is one corner of a profile as a profile of its own.
func at(p profiles.Profile, corner int) profiles.Profile {
	var one profiles.Profile
	for _, r := range p.Inputs {
		shape := [][]int64{r.Min, r.Opt, r.Max}[corner]
		one.Inputs = append(one.Inputs, profiles.Range{Input: r.Input, Min: shape, Opt: shape, Max: shape})
	}
	return one
}

func joint(m model, p profiles.Profile) (rules []string) {
	for _, f := range lint.Check(lint.Subject{Contract: m.contract, Graph: m.graph, Profiles: []profiles.Profile{p}, Backend: lint.RTX}) {
		if f.Severity == lint.Error {
			rules = append(rules, f.ID)
		}
	}
	return rules
}

// feed runs a pass of the profile's shapes, of token 1 everywhere.
func feed(s *ort.Session, p profiles.Profile) error {
	var in []onnx.Tensor
	for _, i := range s.Inputs() {
		for _, r := range p.Inputs {
			if r.Input != i.Name {
				continue
			}
			n, err := i.Type.Bytes(r.Min)
			if err != nil {
				return fmt.Errorf("%s: %w", i.Name, err)
			}
			x := onnx.Tensor{Name: i.Name, Type: i.Type, Dims: r.Min, Bytes: make([]byte, n)}
			for at := 0; i.Type == onnx.Int64 && at < len(x.Bytes); at += 8 {
				binary.LittleEndian.PutUint64(x.Bytes[at:], 1)
			}
			in = append(in, x)
		}
	}
	_, err := s.Run(in, nil)
	return err
}
