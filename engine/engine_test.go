package engine

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

func request() Request {
	return Request{
		Name: "a", Backend: "rtx", Precision: INT8, Model: "/one/model.onnx", ModelDigest: "abc", Target: "sm89",
		Plan: &profiles.Plan{Profiles: []profiles.Profile{{Name: "prefill", Inputs: []profiles.Range{
			{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 8}, Max: []int64{4, 32}},
		}}}},
		Options: map[string]string{"workspace": "1"},
	}
}

func TestKeyCoversWhatChangesTheEngine(t *testing.T) {
	base := Key(request(), "1.7")
	for name, change := range map[string]func(r *Request, revision *string){
		"backend":     func(r *Request, _ *string) { r.Backend = "ortcpu" },
		"precision":   func(r *Request, _ *string) { r.Precision = FP16 },
		"weights":     func(r *Request, _ *string) { r.ModelDigest = "abd" },
		"target":      func(r *Request, _ *string) { r.Target = "" },
		"a dimension": func(r *Request, _ *string) { r.Plan.Profiles[0].Inputs[0].Max[1] = 33 },
		"a profile":   func(r *Request, _ *string) { r.Plan.Profiles = append(r.Plan.Profiles, r.Plan.Profiles[0]) },
		"an option":   func(r *Request, _ *string) { r.Options["workspace"] = "2" },
		"the builder": func(_ *Request, revision *string) { *revision = "1.8" },
	} {
		r, revision := request(), "1.7"
		change(&r, &revision)
		if Key(r, revision) == base {
			t.Errorf("%s changes the engine and not the key", name)
		}
	}
	r := request()
	r.Name, r.Model, r.Plan.CreatedBy = "b", "/two/other.onnx", "another"
	if Key(r, "1.7") != base {
		t.Error("a name or a path changes the key")
	}
}

func TestAchieved(t *testing.T) {
	for _, c := range []struct {
		want   Precision
		layers map[string]int
		ok     bool
	}{
		{INT8, map[string]int{"gemm Int8": 4, "gemm Half": 20}, true},
		{INT8, map[string]int{"runtime_fusion Int8": 4, "gemm Half": 20}, false},
		{FP16, map[string]int{"gemm Half": 8, "kgen Int8": 1}, true},
		{FP16, map[string]int{"gemm Float": 8}, false},
		{FP32, map[string]int{"gemm Float": 8}, true},
		{FP32, map[string]int{"gemm Half": 1, "gemm Float": 7}, false},
	} {
		got, err := Achieved(c.want, c.layers)
		if (err == nil) != c.ok {
			t.Errorf("%s of %v: got %s, %v", c.want, c.layers, got, err)
		}
		if err != nil && (fault.Exit(err) != 5 || !strings.Contains(err.Error(), "gemm")) {
			t.Errorf("the error names no layers: %v", err)
		}
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add(`{"kind":"manifest","schema_version":1,"key":"a","layers":{"gemm Int8":1}}`)
	f.Add(`{"kind":"manifest","schema_version":2}`)
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ReadManifest(strings.NewReader(s), "f")
		if (m == nil) == (err == nil) {
			t.Errorf("manifest %v and error %v", m, err)
		}
		if err != nil && fault.Exit(err) != 4 {
			t.Errorf("class of %v", err)
		}
	})
}
