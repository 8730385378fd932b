package ortcuda

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// TestMain lets the test binary be the ONNX Runtime child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		os.Exit(ort.Serve(map[string]child.Job{JobBuild: Build}))
	}
	os.Exit(m.Run())
}

// fakeChild plays the child on a machine with a GPU.
type fakeChild struct {
	t   *testing.T
	how string
	env []string
}

func (f *fakeChild) Close() error { return nil }

func (f *fakeChild) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	r, ok := request.(buildRequest)
	if job != JobBuild || !ok {
		f.t.Fatalf("%s with %T", job, request)
	}
	p.SetMax(2)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	gpu := func(op string) ort.Subgraph {
		return ort.Subgraph{Provider: "CUDAExecutionProvider", Nodes: []ort.Node{{Name: "/" + op, Op: op}}}
	}
	cpu := func(op string) ort.Subgraph {
		s := gpu(op)
		s.Provider = "CPUExecutionProvider"
		return s
	}
	out := buildResult{Version: "1.31.1", BuildMS: 10, VerifyMS: 5, PeakBytes: 1 << 20, Subgraphs: []ort.Subgraph{gpu("MatMul"), gpu("Softmax"), cpu("Gather")}}
	switch f.how {
	case "work on the CPU":
		out.Subgraphs = append(out.Subgraphs, cpu("Softmax"))
	case "floats on the CPU":
		out.Subgraphs = append(out.Subgraphs, cpu("Add"))
	case "all on the CPU":
		out.Subgraphs = []ort.Subgraph{cpu("MatMul")}
	case "old":
		out.Version = "1.30.0"
	}
	m := onnx.New("test")
	m.Graph().Node = append(m.Graph().Node, onnx.Node("Gather", "/Gather", []string{"shape", "0"}, []string{"size"}), onnx.Node("Add", "/Add", []string{"a", "b"}, []string{"sum"}))
	m.Graph().ValueInfo = append(m.Graph().ValueInfo, onnx.ValueInfo("size", onnx.Int64), onnx.ValueInfo("sum", onnx.Float32, onnx.Sym("n"), onnx.Fixed(8)))
	if err := onnx.Save(m, filepath.Join(r.Dir, file), onnx.SaveOptions{}); err != nil {
		f.t.Fatal(err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		f.t.Fatal(err)
	}
	return json.Unmarshal(b, result)
}

func fake(t *testing.T, how string) (*Builder, *fakeChild) {
	f := &fakeChild{t: t, how: how}
	return &Builder{ONNXRuntime: "1.31.1", GPU: "a fake GPU", Start: func(_ context.Context, env []string, _ io.Writer) (Child, error) {
		f.env = env
		return f, nil
	}}, f
}

func request(t *testing.T) engine.Request {
	t.Helper()
	m := onnx.New("test")
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(8)))
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(8)))
	g.Node = append(g.Node, onnx.Node("MatMul", "mm", []string{"x", "w"}, []string{"y"}))
	m.SetWeight(onnx.Floats("w", []int64{8, 8}, make([]float32, 64)...))
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return engine.Request{Name: "ortcuda-fp32", Backend: "ortcuda", Precision: engine.FP32, Model: path, ModelDigest: "abc"}
}

func TestContractOfAFakeChild(t *testing.T) {
	good := request(t)
	wrong := good
	wrong.Precision = engine.INT8
	enginetest.Run(t, func(t *testing.T) engine.Builder { b, _ := fake(t, "good"); return b }, good, wrong)
}

func TestNothingFallsBackSilently(t *testing.T) {
	for how, says := range map[string]string{
		"work on the CPU":   "1 nodes would run on the CPU: Softmax /Softmax",
		"floats on the CPU": "1 nodes would run on the CPU: Add /Add",
		"all on the CPU":    "no node of 1 is the GPU's",
		"old":               "ONNX Runtime 1.30.0, not 1.31.1",
	} {
		b, _ := fake(t, how)
		_, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
		if fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", how, err)
		}
	}
	b, f := fake(t, "good")
	m, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Warnings, []string{"1 nodes run on the CPU: the arithmetic of shapes"}) || m.Layers["cpu gather"] != 1 || !slices.Contains(f.env, "NVIDIA_TF32_OVERRIDE=0") {
		t.Errorf("%+v, %v", m, f.env)
	}
}

func TestChoices(t *testing.T) {
	for _, c := range []Choices{{}, {TF32: true}, {Device: 3}} {
		got, err := ParseChoices(c.Map())
		if err != nil || got != c {
			t.Errorf("%+v is read as %+v, %v", c, got, err)
		}
		m := &engine.Manifest{Inputs: engine.Inputs(engine.Request{Options: c.Map()}, "")}
		p, err := Provider(m)
		if want := map[bool]string{true: "1", false: "0"}[c.TF32]; err != nil || p.Options["use_tf32"] != want || p.Name != ort.CUDA {
			t.Errorf("%+v opens with %+v, %v", c, p, err)
		}
	}
	for _, of := range []map[string]string{{"tf32": "maybe"}, {"device": "-1"}, {"split": "1"}} {
		if _, err := ParseChoices(of); fault.Classify(err) != fault.Usage {
			t.Errorf("%v: %v", of, err)
		}
	}
}

// TestReleasedProviderWithoutADriver: what is missing is told by the library's own
// words, and no session on the CPU takes its place.
func TestReleasedProviderWithoutADriver(t *testing.T) {
	if _, err := os.Stat("/proc/driver/nvidia"); err == nil {
		t.Skip("this machine has a driver")
	}
	build := testenv.GPUBuild(t)
	b := &Builder{ONNXRuntime: build.Version, GPU: "none", Start: func(_ context.Context, env []string, log io.Writer) (Child, error) {
		return &ort.Client{Library: build.Library, Dirs: build.Dirs, Env: env, Log: log}, nil
	}}
	_, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
	if fault.Classify(err) != fault.Missing {
		t.Errorf("%s: %v", fault.Classify(err), err)
	}
	t.Log(err)
}
