package planfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// contexts is a model of EPContext nodes, whose attributes are those that ONNX
// Runtime's TensorRT EP writes (onnx_ctx_model_helper).
func contexts(attributes ...[]any) *onnx.Model {
	m := onnx.New("ctx")
	for _, a := range attributes {
		n := onnx.Node("EPContext", "TRTKernel", []string{"input_ids"}, []string{"logits"}, a...)
		n.Domain = "com.microsoft"
		m.Graph().Node = append(m.Graph().Node, n)
	}
	return m
}

func TestContexts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "engine.engine"), plan(t, rtx), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.engine"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := string(plan(t, rtx))
	m := contexts(
		[]any{"main_context", int64(1), "embed_mode", int64(1), "ep_cache_context", whole, "hardware_architecture", "89", "source", "TensorrtExecutionProvider"},
		[]any{"embed_mode", int64(0), "ep_cache_context", "engine.engine"},
		[]any{"embed_mode", int64(0), "ep_cache_context", "gone.engine"},
		[]any{"embed_mode", int64(0), "ep_cache_context", "../engine.engine"},
		[]any{"embed_mode", int64(1), "ep_cache_context", whole + "x"},
		[]any{"embed_mode", int64(1), "ep_cache_context", "a blob of another provider"},
		[]any{"main_context", int64(0)},
		[]any{"embed_mode", int64(0), "ep_cache_context", "pipe.engine"},
	)
	got := Contexts(m, dir)
	if len(got) != 8 {
		t.Fatalf("%d contexts", len(got))
	}
	for i, want := range []struct {
		plan    bool
		problem string
	}{{true, ""}, {true, ""}, {false, "gone.engine"}, {false, "outside"}, {true, "cut or added"}, {false, "no TensorRT plan"}, {false, ""}, {false, "no regular file"}} {
		if c := got[i]; (c.Plan != nil) != want.plan || !strings.Contains(c.Problem, want.problem) || (c.Problem == "") != (want.problem == "") {
			t.Errorf("context %d: %+v", i, c)
		}
	}
	if c := got[0]; c.Hardware != "89" || c.Source != "TensorrtExecutionProvider" || !c.Embedded || c.Plan.Version != "1.7.1.116" {
		t.Errorf("%+v", c)
	}
	if c := got[1]; c.Bytes != 64 || c.Embedded || c.File != "engine.engine" {
		t.Errorf("%+v", c)
	}
}

func FuzzContexts(f *testing.F) {
	f.Add("engine.engine", int64(0))
	f.Add("vtrt", int64(1))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content string, mode int64) {
		n := &onnxpb.NodeProto{OpType: "EPContext", Attribute: []*onnxpb.AttributeProto{
			{Name: "embed_mode", I: mode}, {Name: "ep_cache_context", S: []byte(content)},
		}}
		m := onnx.New("ctx")
		m.Graph().Node = append(m.Graph().Node, n)
		if c := Contexts(m, dir)[0]; (c.Plan == nil) == (c.Problem == "") {
			t.Errorf("%+v", c)
		}
	})
}
