package store

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
)

// genuine is a request as commands make it: a checkpoint's graph, quantized by a table of
// ranges, with derived profiles. amax is the range of everything.
func genuine(t *testing.T, seed uint64, amax float32) engine.Request {
	t.Helper()
	dir := t.TempDir()
	must(t, export.Random(dir, export.Shape{Layers: 1, Width: 32, Heads: 2, Vocab: 64, Positions: 32}, seed))
	m, err := export.GPT2(dir, export.Options{})
	must(t, err)
	t.Cleanup(func() { _ = m.Close() })
	targets, err := quant.Targets(m, quant.Policy{})
	must(t, err)
	table := &calib.Table{Kind: "table", SchemaVersion: 1, Ranges: map[string]calib.Range{}}
	for _, name := range quant.Observe(targets) {
		table.Ranges[name] = calib.Range{Lo: -amax, Hi: amax, Amax: amax}
	}
	m, _, err = quant.Int8(m, table, quant.Policy{})
	must(t, err)
	path := filepath.Join(dir, "quantized", "model.onnx")
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, onnx.Save(m, path, onnx.SaveOptions{}))
	r := engine.Request{Name: "a", Backend: "rtx", Precision: engine.FP32, Model: path, Target: "sm89", Options: map[string]string{"level": "3"}}
	r.Contract, err = contract.Infer(m)
	must(t, err)
	r.Plan, err = profiles.Derive(r.Contract, profiles.Workload{Scenarios: []profiles.Scenario{{Name: "a", Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "phase"})
	must(t, err)
	return digested(t, r)
}

// digested takes the digest of what now lies at the request's path.
func digested(t *testing.T, r engine.Request) engine.Request {
	t.Helper()
	m, err := onnx.Load(r.Model)
	must(t, err)
	defer func() { _ = m.Close() }()
	r.ModelDigest, err = m.Digest()
	must(t, err)
	return r
}

// TestEachRealInputChangesTheKey changes one thing at a time of a request with real
// files: `engines why` names it.
func TestEachRealInputChangesTheKey(t *testing.T) {
	s := open(t)
	first := enginetest.Fake{Version: "1"}
	build(t, s, first, genuine(t, 1, 3))
	for _, c := range []struct {
		what, named string
		change      func(r *engine.Request, b *enginetest.Fake)
	}{
		{"one bit of a weight", "model", func(r *engine.Request, _ *enginetest.Fake) {
			flip(t, r.Model+".data")
			*r = digested(t, *r)
		}},
		{"another checkpoint", "model", func(r *engine.Request, _ *enginetest.Fake) { *r = genuine(t, 2, 3) }},
		{"the calibration table", "model", func(r *engine.Request, _ *enginetest.Fake) { *r = genuine(t, 1, 3.01) }},
		{"a dimension of a profile", "profile 1 input_ids", func(r *engine.Request, _ *enginetest.Fake) { r.Plan.Profiles[1].Inputs[0].Max[0]++ }},
		{"an optimum", "profile 0 attention_mask", func(r *engine.Request, _ *enginetest.Fake) { r.Plan.Profiles[0].Inputs[1].Opt[1]-- }},
		{"an option", "option level", func(r *engine.Request, _ *enginetest.Fake) { r.Options["level"] = "4" }},
		{"another option", "option tf32", func(r *engine.Request, _ *enginetest.Fake) { r.Options["tf32"] = "1" }},
		{"the builder's version", "builder", func(_ *engine.Request, b *enginetest.Fake) { b.Version = "2" }},
		{"what an input means", "contract", func(r *engine.Request, _ *enginetest.Fake) { r.Contract.Inputs[0].Dims[1].Role = contract.Free }},
		{"the target", "target", func(r *engine.Request, _ *enginetest.Fake) { r.Target = "sm120" }},
		{"the precision", "precision", func(r *engine.Request, _ *enginetest.Fake) { r.Precision = engine.INT8 }},
		{"the backend", "backend", func(r *engine.Request, _ *enginetest.Fake) { r.Backend = "trtexec" }},
	} {
		r, b := genuine(t, 1, 3), first
		c.change(&r, &b)
		near, diff, err := s.Why(engine.Inputs(r, b.Revision()))
		must(t, err)
		if near == nil || len(diff) != 1 || diff[0].Input != c.named {
			t.Errorf("%s: %+v, want %s alone", c.what, diff, c.named)
		}
	}
}

// TestWhatIsNoInput changes what an engine does not depend on: the store has it.
func TestWhatIsNoInput(t *testing.T) {
	s, b := open(t), &counted{Builder: enginetest.Fake{Version: "1"}}
	s.CreatedBy = "trtforge 1.0.0"
	build(t, s, b, genuine(t, 1, 3))
	s.CreatedBy = "trtforge 1.0.1 (another binary of the same revisions)"
	for what, change := range map[string]func(r *engine.Request){
		"nothing": func(*engine.Request) {},
		"names and paths": func(r *engine.Request) {
			m, err := onnx.Load(r.Model)
			must(t, err)
			r.Name, r.Model = "b", filepath.Join(t.TempDir(), "other.onnx")
			must(t, onnx.Save(m, r.Model, onnx.SaveOptions{DataFile: "weights.bin"}))
			must(t, m.Close())
		},
		"times": func(r *engine.Request) {
			old := time.Now().Add(-1000 * time.Hour)
			must(t, os.Chtimes(r.Model, old, old))
		},
		"the order of protobuf's bytes": func(r *engine.Request) { reorder(t, r.Model) },
		"who derived the plan, and its profiles' names": func(r *engine.Request) {
			r.Plan.CreatedBy, r.Contract.CreatedBy = "another", "another"
			r.Plan.Profiles[0].Name = "first"
			slices.Reverse(r.Plan.Profiles[0].Inputs)
		},
	} {
		r := genuine(t, 1, 3)
		change(&r)
		if e := build(t, s, b, digested(t, r)); !e.Cached {
			_, diff, err := s.Nearest(e.Manifest.Inputs, e.Manifest.Key)
			t.Errorf("%s: built again, %+v, %v", what, diff, err)
		}
	}
}

// flip turns one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

// reorder writes a model's fields and its initializers in another order, which means
// the same to every reader of protobuf.
func reorder(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	m := &onnxpb.ModelProto{}
	must(t, proto.Unmarshal(raw, m))
	slices.Reverse(m.Graph.Initializer)
	graph, err := proto.Marshal(m)
	must(t, err)
	// The last field first: opset_import before the graph, ir_version at the end.
	var fields [][]byte
	for rest := graph; len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		if n <= 0 {
			t.Fatal(protowire.ParseError(n))
		}
		fields, rest = append(fields, rest[:n]), rest[n:]
	}
	slices.Reverse(fields)
	turned := bytes.Join(fields, nil)
	if bytes.Equal(turned, raw) {
		t.Fatal("nothing was turned round")
	}
	must(t, os.WriteFile(path, turned, 0o600))
}
