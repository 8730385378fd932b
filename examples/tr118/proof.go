package main

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/explain"
)

// coverage is what a set of profiles holds of a demand.
type coverage struct {
	What     string // whose profiles, for which demand
	Runtime  string // and what of them it can reach
	Profiles int
	Shapes   int // distinct, of the demand
	Outside  int // of them, in no profile that can be reached
}

// cover counts the shapes of a demand that lie outside.
func cover(what, runtime string, c *contract.Contract, all []profiles.Profile, demand []profiles.Shape, reach profiles.Reach) coverage {
	out := coverage{What: what, Runtime: runtime, Profiles: len(all), Shapes: profiles.Distinct(demand)}
	for _, g := range profiles.Check(c, all, demand, reach) {
		out.Outside += g.Shapes
	}
	return out
}

// studyContract is the study's graphs: ids and mask, no cache.
func studyContract() *contract.Contract {
	dims := []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}}
	return &contract.Contract{Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Dims: dims}, {Name: "attention_mask", Kind: contract.KindMask, Dims: dims},
	}}
}

// profiles are the published ones.
func (p *published) profiles() []profiles.Profile {
	var all []profiles.Profile
	for _, v := range p.Profiles {
		at := func(i int) []int64 { return []int64{v.Batch[i], v.Seq[i]} }
		var one profiles.Profile
		for _, name := range []string{"input_ids", "attention_mask"} {
			one.Inputs = append(one.Inputs, profiles.Range{Input: name, Min: at(0), Opt: at(1), Max: at(2)})
		}
		all = append(all, one)
	}
	return all
}

// proveTheirs is what the study's own profiles hold of what it ran.
func (p *published) proveTheirs() []coverage {
	demand := profiles.Demand(profiles.Workload{Mode: profiles.Uncached, Scenarios: p.Scenarios})
	c, all := studyContract(), p.profiles()
	return []coverage{
		cover("the study's five profiles", "any profile", c, all, demand, profiles.Any),
		cover("the study's five profiles", "profile 0 only", c, all, demand, profiles.First),
	}
}

// proveOurs derives plans of a member's graph for both ways of decoding and every
// kind of TensorRT runtime. A shape outside is an error: nothing may be built then.
func proveOurs(m *member, scenarios []profiles.Scenario) (all []coverage, plans map[string]*profiles.Plan, err error) {
	plans = map[string]*profiles.Plan{}
	for _, backend := range []string{"orttrt", "rtx"} {
		r, err := profiles.ReachOf(backend, "")
		if err != nil {
			return nil, nil, err
		}
		for _, mode := range []profiles.Mode{profiles.Uncached, profiles.Cached} {
			w := profiles.Workload{Mode: mode, Scenarios: scenarios}
			plan, err := profiles.Derive(m.Contract, w, profiles.Options{Strategy: "auto", Backend: backend, Reach: r.Reach})
			if err != nil {
				return nil, nil, fmt.Errorf("model %s, %s for %s: %w", m.Name, mode, backend, err)
			}
			got := cover(fmt.Sprintf("%s, %s decoding", m.Name, mode), backend+", "+reachText(r.Reach), m.Contract, plan.Profiles, profiles.Demand(w), r.Reach)
			if got.Outside > 0 {
				return nil, nil, fmt.Errorf("model %s, %s for %s: %d of %d shapes lie outside the derived profiles", m.Name, mode, backend, got.Outside, got.Shapes)
			}
			all, plans[backend+" "+string(mode)] = append(all, got), plan
		}
	}
	return all, plans, nil
}

func reachText(r profiles.Reach) string {
	if r == profiles.First {
		return "profile 0 only"
	}
	return "any profile"
}

// messages are what the study's runs died with.
var messages = []string{
	"set_input_shape_failed: input_ids: 4x19/4x27",
	"IExecutionContext::setInputShape: Static dimension mismatch",
	"cuMemcpyHtoDAsync failed: invalid argument",
}

// explanation is what package explain makes of a message and the published profiles.
type explanation struct{ Message, Cause string }

func (p *published) explain() ([]explanation, error) {
	var all []explanation
	for _, m := range messages {
		r, err := explain.Read(strings.NewReader(m), explain.Context{Contract: studyContract(), Profiles: p.profiles()})
		if err != nil {
			return nil, err
		}
		root := r.Root()
		if root == nil {
			return nil, fmt.Errorf("nothing explains %q", m)
		}
		all = append(all, explanation{m, root.Cause})
	}
	return all, nil
}

// staleness asks for the study's tiny FP16 engine twice: as its smoke run built it,
// with one profile, and as its runs needed it. What the two keys differ in is what
// keeps the first from being taken for the second.
func (p *published) staleness() (smoke, full string, differ []string) {
	all := p.profiles()
	request := func(n int) map[string]string {
		return engine.Inputs(engine.Request{Backend: "orttrt", Precision: engine.FP16, ModelDigest: "tiny-gpt2", Plan: &profiles.Plan{Profiles: all[:n]}}, "tensorrt")
	}
	one, five := request(1), request(len(all))
	for name, v := range five {
		if one[name] != v {
			differ = append(differ, name)
		}
	}
	return engine.KeyOf(one), engine.KeyOf(five), differ
}
