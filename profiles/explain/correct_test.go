package explain

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/profiles"
)

// outside is TensorRT's message about a shape.
func outside(input string, shape, lo, hi []int64, profile int) string {
	list := func(s []int64) string { return strings.ReplaceAll(text(s), "x", ",") }
	return fmt.Sprintf("[TRT] [E] IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: satisfyProfile. Set dimension [%s] for tensor %s does not satisfy any optimization profiles. Valid range for profile %d: [%s]..[%s].)",
		list(shape), input, profile, list(lo), list(hi))
}

// Of random plans and random shapes that they do not hold, the correction holds
// the shape, keeps every rule, holds all that was held before, and no smaller one
// of its changes would do.
func TestCorrectionHoldsTheShapeJointly(t *testing.T) {
	c := cached()
	tried := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 1 + r.IntN(4), PromptTokens: 1 + r.IntN(40), NewTokens: 1 + r.IntN(20)}, {Batch: 1 + r.IntN(4), PromptTokens: 1 + r.IntN(40), NewTokens: 1 + r.IntN(20)}}}
		plan, err := profiles.Derive(c, w, profiles.Options{Strategy: []string{"wide", "phase"}[r.IntN(2)]})
		if err != nil {
			t.Fatal(err)
		}
		pass := profiles.Shape{Batch: 1 + r.IntN(6), Seq: 1 + r.IntN(60), Past: r.IntN(60)}
		tensor := c.Inputs[r.IntN(len(c.Inputs))]
		shape := c.Shape(tensor, int64(pass.Batch), int64(pass.Seq), int64(pass.Past))
		i := r.IntN(len(plan.Profiles))
		rg := rangeOf(plan.Profiles[i], tensor.Name)
		if slices.ContainsFunc(plan.Profiles, func(p profiles.Profile) bool { return holds(rangeOf(p, tensor.Name), shape) }) {
			continue
		}
		tried++
		before := copied(plan.Profiles)
		f := explained(t, outside(tensor.Name, shape, rg.Min, rg.Max, i), Context{Contract: c, Profiles: plan.Profiles, Demand: plan.Demand}).Root()
		if f == nil || f.Correction == nil || f.Correction.After == "" {
			t.Fatalf("seed %d: no correction of %s %v: %+v", seed, tensor.Name, shape, f)
		}
		now := f.Correction.Profiles
		if !slices.ContainsFunc(now, func(p profiles.Profile) bool { return holds(rangeOf(p, tensor.Name), shape) }) {
			t.Fatalf("seed %d: %s %v is in none of %s", seed, tensor.Name, shape, f.Correction.After)
		}
		if err := profiles.Validate(c, now); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if gaps := profiles.Check(c, now, plan.Demand, profiles.Any); len(gaps) > 0 {
			t.Fatalf("seed %d: the correction loses %s", seed, gaps[0].Shape)
		}
		if diff := changedProfiles(before, now); diff != 1 {
			t.Fatalf("seed %d: %d profiles changed", seed, diff)
		}
		if changedProfiles(before, plan.Profiles) != 0 {
			t.Fatalf("seed %d: the caller's profiles were changed", seed)
		}
	}
	if tried < 500 {
		t.Errorf("only %d shapes were outside", tried)
	}
	t.Logf("%d corrections", tried)
}

func changedProfiles(a, b []profiles.Profile) (n int) {
	for i := range a {
		if len(changed(i, a[i], b[i])) > 0 {
			n++
		}
	}
	return n
}

// ONNX Runtime reaches profile 0 alone: there the correction widens it even where
// another profile holds the shape, in the options that ONNX Runtime reads.
func TestCorrectionKnowsTheReach(t *testing.T) {
	plan, err := profiles.Derive(cached(), profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	line := outside("past.0.key", []int64{1, 16, 8, 16}, []int64{1, 16, 0, 16}, []int64{1, 16, 0, 16}, 0)
	c := Context{Contract: cached(), Profiles: plan.Profiles, Demand: plan.Demand}
	switching := explained(t, line, c).Root().Correction
	if switching.After != "" || !strings.Contains(strings.Join(switching.Notes, " "), "lies inside profile 1") {
		t.Errorf("TensorRT: %+v", switching)
	}
	fixed := explained(t, "[E:onnxruntime:Default, tensorrt_execution_provider.h:90 log] "+line, c).Root().Correction
	if fixed.Syntax != "ort" || !strings.Contains(fixed.After, "trt_profile_max_shapes=input_ids:1x8,attention_mask:1x16,past.0.key:1x16x8x16") {
		t.Errorf("ONNX Runtime: %+v", fixed)
	}
	if !holds(rangeOf(fixed.Profiles[0], "past.0.key"), []int64{1, 16, 8, 16}) {
		t.Errorf("profile 0 does not hold the shape: %s", fixed.After)
	}
}

func TestCorrectionOfWhatTheGraphFixes(t *testing.T) {
	c := cached()
	c.Inputs[0].Dims[0].Size = 1
	p := profiles.Profile{}
	for _, in := range c.Inputs {
		p.Inputs = append(p.Inputs, profiles.Range{Input: in.Name, Min: c.Shape(in, 1, 1, 1), Opt: c.Shape(in, 1, 1, 8), Max: c.Shape(in, 1, 1, 15)})
	}
	f := explained(t, outside("input_ids", []int64{4, 1}, []int64{1, 1}, []int64{1, 1}, 0), Context{Contract: c, Profiles: []profiles.Profile{p}}).Root()
	if f.Correction == nil || f.Correction.After != "" || !strings.Contains(f.Correction.Notes[0], "the graph fixes dimension 0 of input_ids at 1") {
		t.Errorf("%+v", f.Correction)
	}
}

func TestCorrectionOfProfilesThatContradictThemselves(t *testing.T) {
	c := cached()
	plan, err := profiles.Derive(c, profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	broken := copied(plan.Profiles)
	rangeOf(broken[0], "attention_mask").Opt[1] += 3
	rangeOf(broken[0], "attention_mask").Max[1] += 5
	log := "Error[4]: kOPT values for profile 0 violate shape constraints: IShuffleLayer Reshape_552: reshaping failed for tensor: 1860 reshape would change volume 24576 to 4096"
	f := explained(t, log, Context{Contract: c, Profiles: broken, Syntax: "trtexec"}).Root()
	if f.Correction == nil || profiles.Validate(c, f.Correction.Profiles) != nil || !strings.Contains(f.Correction.After, "--maxShapes=") {
		t.Errorf("%+v", f.Correction)
	}
	if n := strings.Join(f.Correction.Notes, " "); !strings.Contains(n, "attention_mask") {
		t.Errorf("notes %s", n)
	}
}

// Without a contract only the named input is changed, and that is said.
func TestCorrectionWithoutContract(t *testing.T) {
	p := profiles.Profile{Inputs: []profiles.Range{{Input: "images", Min: []int64{1, 3}, Opt: []int64{1, 3}, Max: []int64{4, 3}}}}
	f := explained(t, outside("images", []int64{8, 3}, []int64{1, 3}, []int64{4, 3}, 0), Context{Profiles: []profiles.Profile{p}, Syntax: "trtexec"}).Root()
	if f.Correction == nil || !strings.Contains(f.Correction.Before, "--maxShapes=images:4x3") || !strings.Contains(f.Correction.After, "--maxShapes=images:8x3") || !strings.Contains(f.Correction.Notes[0], "only images was changed") {
		t.Errorf("%+v", f.Correction)
	}
	other := explained(t, outside("image", []int64{8, 3}, []int64{1, 3}, []int64{4, 3}, 0), Context{Contract: cached(), Profiles: []profiles.Profile{p}}).Root()
	if other.Correction == nil || other.Correction.After != "" || !strings.Contains(other.Correction.Notes[0], "no input image") {
		t.Errorf("%+v", other.Correction)
	}
}

// A builder that got no profile, or not all, is given the plan's in its syntax;
// what is no input of the model is named.
func TestCorrectionGivesThePlansProfiles(t *testing.T) {
	plan, err := profiles.Derive(cached(), profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	log := "[ONNXRuntimeError] : 11 : EP_FAIL : User needs to provide all the dynamic shape inputs with associated profiles if they want.\nPlease note\nFollowing input(s) has no associated shape profiles provided: attention_mask,/h.0/Concat_output_0\n"
	f := explained(t, log, Context{Contract: cached(), Profiles: plan.Profiles, Demand: plan.Demand}).Root()
	if f == nil || f.Correction == nil || f.Correction.Before != "" || !strings.HasPrefix(f.Correction.After, "trt_profile_min_shapes=input_ids:1x1,") {
		t.Fatalf("%+v", f)
	}
	notes := strings.Join(f.Correction.Notes, "\n")
	if !strings.Contains(notes, "/h.0/Concat_output_0 is no input") || strings.Contains(notes, "attention_mask is no input") || !strings.Contains(notes, "hold all") {
		t.Errorf("%s", notes)
	}
}

// A message that gives one size only, as Triton's, changes that one and what
// depends on it.
func TestCorrectionOfOneSize(t *testing.T) {
	plan, err := profiles.Derive(cached(), profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 2, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	line := "request specifies invalid shape for input 'attention_mask' for gpt2. Error details: model expected the shape of dimension 1 to be between 9 and 23 but received 40"
	c := explained(t, line, Context{Contract: cached(), Profiles: plan.Profiles}).Root().Correction
	if c == nil || profiles.Validate(cached(), c.Profiles) != nil || rangeOf(c.Profiles[0], "attention_mask").Max[1] != 40 || rangeOf(c.Profiles[0], "input_ids").Max[0] != 2 {
		t.Errorf("%+v", c)
	}
}

// What is not about a profile is not answered by widening one.
func TestNoCorrectionWhereProfilesAreNotTheCause(t *testing.T) {
	plan, err := profiles.Derive(cached(), profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 2, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range builtin(t) {
		for _, e := range p.Examples {
			f := found(explained(t, e.Text, Context{Contract: cached(), Profiles: plan.Profiles}), p)
			if c := f.Correction; c != nil && len(c.Changes) > 0 && !p.Asks {
				t.Errorf("%s: %+v", p.ID, c.Changes)
			}
		}
	}
}

// A decode loop that fails at every length is answered once, for all of it.
func TestCorrectionHoldsEveryShapeThatFailed(t *testing.T) {
	plan, err := profiles.Derive(cached(), profiles.Workload{Scenarios: []profiles.Scenario{{Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for past := range int64(10) {
		b.WriteString(outside("past.0.key", []int64{1, 16, 20 + past, 16}, []int64{1, 16, 0, 16}, []int64{1, 16, 14, 16}, 0) + "\n")
	}
	r := explained(t, b.String(), Context{Contract: cached(), Profiles: plan.Profiles})
	c := r.Roots()[0].Correction
	if len(r.Roots()) != 10 || c == nil || rangeOf(c.Profiles[0], "past.0.value").Max[2] != 29 || profiles.Validate(cached(), c.Profiles) != nil {
		t.Fatalf("%d roots, %+v", len(r.Roots()), c)
	}
	if len(c.Changes) != 2 || !strings.Contains(c.Changes[1], "past.0.key (and 1 more) dimension 2: max 14 becomes 29") {
		t.Errorf("%q", c.Changes)
	}
	if r.Roots()[1].Correction != nil {
		t.Error("a second correction")
	}
}
