package syntax

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/profiles"
)

// reading is what another tool makes of a text.
type reading struct {
	Profiles []map[string][3][]int64
	Error    string

	Backend        string
	MaxBatchSize   int      `json:"max_batch_size"`
	Accelerators   []string `json:"accelerators"`
	EngineProfiles []string `json:"engine_profiles"`
	Input, Output  []struct {
		Name, Type      string
		Dims            []int64
		Reshape, Values bool
	}
	Options map[string]string
}

// ask has another tool read texts.
func ask(t *testing.T, tool string, texts []string) []reading {
	t.Helper()
	var in bytes.Buffer
	for _, text := range texts {
		_ = json.NewEncoder(&in).Encode(text) // into memory
	}
	cmd := exec.Command(testenv.Python(t, "oracle-trt"), "testdata/oracle.py", tool)
	cmd.Stdin = &in
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	var all []reading
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r reading
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d answers to %d texts\n%s", len(all), len(texts), talk.String())
	}
	return all
}

// many is profiles at the edge and at random, those that a syntax can carry, with
// their texts. Sizes below 0 are left out: Polygraphy takes them for "varies".
func many(t *testing.T, name string) (sets [][]profiles.Profile, texts []string) {
	t.Helper()
	candidates := [][]profiles.Profile{two(), two()[:1]}
	for _, input := range []string{"a:0", "a,b", "it's", `q"q`, "a b", "$x`y\\z", "größe", "a=b#c;d", "x[0](1)", "-a", "?"} {
		all := two()
		for i := range all {
			all[i].Inputs[0].Input = input
			all[i].Inputs = append(all[i].Inputs, profiles.Range{Input: "scalar", Min: []int64{}, Opt: []int64{}, Max: []int64{}})
		}
		candidates = append(candidates, all)
	}
	for seed := range uint64(400) {
		all := random(seed)
		for _, p := range all {
			for _, r := range p.Inputs {
				for _, shape := range [][]int64{r.Min, r.Opt, r.Max} {
					for i := range shape {
						shape[i] = max(shape[i], 0)
					}
				}
			}
		}
		candidates = append(candidates, all)
	}
	for _, all := range candidates {
		if text, err := Emit(name, Input{Profiles: all, Contract: graph(all)}); err == nil {
			sets, texts = append(sets, all), append(texts, text)
		}
	}
	if len(texts) < 100 {
		t.Fatalf("%s carries %d of %d", name, len(texts), len(candidates))
	}
	return sets, texts
}

// asRead is profiles in the form of a reading.
func asRead(all []profiles.Profile) (out []map[string][3][]int64) {
	for _, p := range all {
		m := map[string][3][]int64{}
		for _, r := range p.Inputs {
			m[r.Input] = [3][]int64{r.Min, r.Opt, r.Max}
		}
		out = append(out, m)
	}
	return out
}

// Polygraphy's argument parser, and the rules of trtexec's, read what we write as we
// meant it.
func TestCommandLinesAreReadAsMeant(t *testing.T) {
	for _, name := range []string{Polygraphy, Trtexec} {
		sets, texts := many(t, name)
		for i, r := range ask(t, name, texts) {
			if r.Error != "" {
				t.Errorf("%s: %s\n%s", name, r.Error, texts[i])
			} else if d := cmp.Diff(asRead(sets[i]), r.Profiles); d != "" {
				t.Errorf("%s (-meant +read): %s\n%s", name, d, texts[i])
			}
		}
		t.Logf("%s: %d texts", name, len(texts))
	}
}

// What the tools read we read the same way, in forms that we do not write.
func TestForeignFormsAreReadTheSame(t *testing.T) {
	for name, texts := range map[string][]string{
		Polygraphy: {"--trt-max-shapes 'a:0:[ 4 , 16]' b:[] --fp16 --trt-min-shapes a:0:[1,1] b:[] --trt-opt-shapes a:0:[1,8] 'b:[]'",
			"--trt-min-shapes=x:[1] --trt-opt-shapes=x:[2] --trt-max-shapes=x:[3]"},
		Trtexec: {`--maxShapes=\'a:0\':4x16,b: --minShapes="'a:0':1x1,b:scalar" '--optShapes=a:0:1x8,b:'`,
			"--profile=1 --maxShapes=a:3 --minShapes=a:1 --optShapes=a:2 --fp16 --profile=0 --minShapes=a:4 --optShapes=a:5 --maxShapes=a:6"},
	} {
		for i, r := range ask(t, name, texts) {
			all, err := ParseAs(name, texts[i])
			if err != nil || r.Error != "" {
				t.Errorf("%s: ours %v, theirs %s", texts[i], err, r.Error)
				continue
			}
			if d := cmp.Diff(r.Profiles, asRead(all)); d != "" {
				t.Errorf("%s (-theirs +ours): %s", texts[i], d)
			}
		}
	}
}

// What the tools refuse we refuse.
func TestWhatTheToolsRefuse(t *testing.T) {
	for name, texts := range map[string][]string{
		Polygraphy: {"--trt-min-shapes a:[1] b:[1] --trt-opt-shapes a:[1] --trt-max-shapes c:[1]", "--trt-min-shapes --trt-opt-shapes a:[1] --trt-max-shapes a:[1]"},
		Trtexec: {"--minShapes=a:99999999999 --optShapes=a:1 --maxShapes=a:1", "--minShapes=a --optShapes=a:1 --maxShapes=a:1", `--minShapes="'a:1" --optShapes=a:1 --maxShapes=a:1`,
			"--profile=0 --fp16 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1", "--profile=1 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1", "--profile=0 --minShapes=a:1 --optShapes=a:1 --fp16 --maxShapes=a:1"},
	} {
		for i, r := range ask(t, name, texts) {
			if _, err := ParseAs(name, texts[i]); err == nil || r.Error == "" {
				t.Errorf("%s: ours %v, theirs %q", texts[i], err, r.Error)
			}
		}
	}
}

// Triton's own message type reads what we write, with the fields that we meant.
func TestTritonReadsWhatIsWritten(t *testing.T) {
	for _, name := range []string{Triton, TritonTRT} {
		sets, texts := many(t, name)
		for i, r := range ask(t, "triton", texts) {
			if r.Error != "" {
				t.Errorf("%s: %s\n%s", name, r.Error, texts[i])
				continue
			}
			lists, err := providerLists(sets[i])
			if err != nil {
				t.Fatal(err)
			}
			for k, key := range ortKeys {
				if r.Options[key] != lists[k] {
					t.Errorf("%s: %s is %q, meant %q", name, key, r.Options[key], lists[k])
				}
			}
			c := graph(sets[i])
			for j, in := range r.Input {
				want := c.Inputs[j]
				if in.Name != want.Name || in.Type != "TYPE_INT32" || in.Reshape != (len(want.Dims) == 0) || len(in.Dims) != max(len(want.Dims), 1) {
					t.Errorf("%s: input %d is %+v, meant %+v", name, j, in, want)
				}
			}
			if name == Triton && (r.Backend != "onnxruntime" || len(r.Accelerators) != 1 || r.Accelerators[0] != "tensorrt") {
				t.Errorf("backend %s with %v", r.Backend, r.Accelerators)
			}
			if name == TritonTRT && (r.Backend != "tensorrt" || len(r.EngineProfiles) != len(sets[i])) {
				t.Errorf("backend %s with profiles %v of %d", r.Backend, r.EngineProfiles, len(sets[i]))
			}
		}
		t.Logf("%s: %d texts", name, len(texts))
	}
	text, err := Emit(Triton, Input{Profiles: two(), Contract: decoder(), MaxBatch: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, "triton", []string{text})[0]
	if r.MaxBatchSize != 4 || len(r.Output) != 2 || r.Output[1].Type != "TYPE_FP16" || cmp.Diff(r.Output[1].Dims, []int64{4, -1, 64}) != "" {
		t.Errorf("batched by Triton: %+v", r)
	}
}
