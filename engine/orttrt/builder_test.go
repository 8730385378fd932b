package orttrt

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/profiles"
)

// fake is a builder whose child is played; the children that it started are in the
// slice.
func fake(t *testing.T, how string) (*Builder, *[]*fakeChild) {
	var started []*fakeChild
	return &Builder{
		ONNXRuntime: "1.31.1", TensorRT: "10.13.3", GPU: "a fake GPU", CreatedBy: "test",
		Start: func(_ context.Context, env []string, log io.Writer) (Child, error) {
			f := &fakeChild{t: t, how: how, log: log, env: env}
			started = append(started, f)
			return f, nil
		},
	}, &started
}

// request is for x [n, 8] times w, with a past that the graph does not use.
func request(t *testing.T) engine.Request {
	t.Helper()
	m := onnx.New("test")
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(8)), onnx.ValueInfo("past", onnx.Float32, onnx.Fixed(1), onnx.Sym("past")))
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(8)), onnx.ValueInfo("z", onnx.Float32, onnx.Fixed(1), onnx.Sym("past")))
	g.Node = append(g.Node, onnx.Node("MatMul", "mm", []string{"x", "w"}, []string{"y"}), onnx.Node("Identity", "id", []string{"past"}, []string{"z"}))
	m.SetWeight(onnx.Floats("w", []int64{8, 8}, make([]float32, 64)...))
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return engine.Request{Name: "orttrt-fp32", Backend: "orttrt", Precision: engine.FP32, Model: path, ModelDigest: "abc", Plan: &profiles.Plan{Profiles: []profiles.Profile{between("wide", 1, 64, 0, 63)}}}
}

// between is a profile of n and past from and to.
func between(name string, n, nTo, past, pastTo int64) profiles.Profile {
	return profiles.Profile{Name: name, Inputs: []profiles.Range{
		{Input: "x", Min: []int64{n, 8}, Opt: []int64{n, 8}, Max: []int64{nTo, 8}},
		{Input: "past", Min: []int64{1, past}, Opt: []int64{1, past}, Max: []int64{1, pastTo}},
	}}
}

func TestContractOfAFakeChild(t *testing.T) {
	good := request(t)
	wrong := good
	wrong.Precision = engine.INT8
	enginetest.Run(t, func(t *testing.T) engine.Builder { b, _ := fake(t, "good"); return b }, good, wrong)
}

func TestContractOfASplitFake(t *testing.T) {
	good := request(t)
	good.Options = Choices{Split: true}.Map()
	good.Plan = &profiles.Plan{Profiles: []profiles.Profile{between("prefill", 1, 64, 0, 0), between("decode", 1, 1, 1, 63)}}
	wrong := good
	wrong.Precision = engine.FP16
	enginetest.Run(t, func(t *testing.T) engine.Builder { b, _ := fake(t, "lists fp32"); return b }, good, wrong)
	b, started := fake(t, "good")
	dir := t.TempDir()
	m, err := b.Build(t.Context(), good, dir, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if m.Memory == nil || len(m.Memory.Profiles) != 2 || m.Memory.Profiles[1].ActivationBytes != 1024 {
		t.Errorf("its memory is %+v", m.Memory)
	}
	if m.File != "prefill_ctx.onnx" || m.Steps != "decode_ctx.onnx" || len(m.Files) != 5 || len((*started)[0].saw) != 2 {
		t.Errorf("%s, %s, %v, %d sessions", m.File, m.Steps, m.Files, len((*started)[0].saw))
	}
}

// What the child is asked for: this engine's directory, nothing of the environment,
// no node for the CPU once it is opened.
func TestWhatTheChildIsAskedFor(t *testing.T) {
	t.Setenv("ORT_TENSORRT_FP16_ENABLE", "1")
	b, started := fake(t, "good")
	r := request(t)
	dir := t.TempDir()
	if _, err := b.Build(t.Context(), r, dir, progress.Noop); err != nil {
		t.Fatal(err)
	}
	child := (*started)[0]
	if !slices.Contains(child.env, "ORT_TENSORRT_FP16_ENABLE=") || !slices.Contains(child.env, "NVIDIA_TF32_OVERRIDE=0") {
		t.Errorf("its environment gets %v", child.env)
	}
	saw := child.saw[0]
	if saw.Provider.Name != "tensorrt" || saw.Provider.Strict || !saw.Open.Strict || saw.Open.Options["trt_dump_ep_context_model"] != "0" || len(saw.Config) != 0 {
		t.Errorf("it is asked for %+v", saw)
	}
	b.Plugin = "/opt/plugin.so"
	if _, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop); err != nil {
		t.Fatal(err)
	}
	saw = (*started)[1].saw[0]
	if saw.Provider.Name != PluginName || saw.Provider.Library != "/opt/plugin.so" || saw.Config["ep.context_enable"] != "1" || !strings.HasSuffix(saw.Config["ep.context_file_path"], "engine_ctx.onnx") {
		t.Errorf("of the plugin: %+v", saw)
	}
	b.PluginSum = strings.Repeat("0123", 16)
	if got := PluginOf(&engine.Manifest{Builder: b.Revision()}); got != "012301230123" {
		t.Errorf("%s is of plugin %q", b.Revision(), got)
	}
	b.Plugin = ""
	if got := PluginOf(&engine.Manifest{Builder: b.Revision()}); got != "" {
		t.Errorf("%s is of plugin %q", b.Revision(), got)
	}
}

func TestWhatIsNotAskedForFailsTheBuild(t *testing.T) {
	for how, want := range map[string]struct {
		class fault.Code
		says  string
	}{
		"parts":         {fault.Runtime, "2 subgraphs are TensorRT's, wanted is one of the whole graph; 1 nodes are not: NonZero /nz (CPUExecutionProvider)"},
		"cpu":           {fault.Runtime, "0 subgraphs are TensorRT's"},
		"old":           {fault.Runtime, "ONNX Runtime 1.30.0, not 1.31.1"},
		"no library":    {fault.Missing, "libnvinfer.so.10"},
		"fails":         {fault.Runtime, "line 1 of its log"},
		"warns":         {fault.Runtime, "the profiles were not taken"},
		"eleven":        {fault.Runtime, "the engine is FP32"},
		"lists int8":    {fault.Runtime, "its matrix products run in int8"},
		"other profile": {fault.Runtime, "x dimension 1: max 8 becomes 9"},
		"two engines":   {fault.Runtime, "2 engines"},
		"no context":    {fault.Runtime, "no context model"},
	} {
		t.Run(how, func(t *testing.T) {
			b, _ := fake(t, how)
			_, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
			if fault.Classify(err) != want.class || !strings.Contains(err.Error(), want.says) {
				t.Errorf("%s: %v", fault.Classify(err), err)
			}
		})
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*engine.Request, *Builder)
		says   string
	}{
		"no plan":       {func(r *engine.Request, _ *Builder) { r.Plan = nil }, "there are none"},
		"two profiles":  {func(r *engine.Request, _ *Builder) { r.Plan.Profiles = append(r.Plan.Profiles, r.Plan.Profiles[0]) }, "--split"},
		"split of one":  {func(r *engine.Request, _ *Builder) { r.Options = map[string]string{"split": "1"} }, "not prefill and decode"},
		"target":        {func(r *engine.Request, _ *Builder) { r.Target = "sm90" }, "sm90"},
		"option":        {func(r *engine.Request, _ *Builder) { r.Options = map[string]string{"depth": "3"} }, "depth"},
		"name too many": {func(r *engine.Request, _ *Builder) { r.Plan.Profiles[0].Inputs[1].Input = "paste" }, "no input paste"},
		"rank": {func(r *engine.Request, _ *Builder) {
			in := &r.Plan.Profiles[0].Inputs[0]
			in.Min, in.Opt, in.Max = in.Min[:1], in.Opt[:1], in.Max[:1]
		}, "x has 2 dimensions, its range 1"},
		"name missing": {func(r *engine.Request, _ *Builder) { r.Plan.Profiles[0].Inputs = r.Plan.Profiles[0].Inputs[:1] }, "input past has no range"},
		"implicit on 11": {func(r *engine.Request, b *Builder) {
			r.Options, r.Precision, b.TensorRT = map[string]string{"implicit": "fp16"}, engine.FP16, "11.1.0"
		}, "implicit precision on TensorRT 11"},
		"implicit with a plugin": {func(r *engine.Request, b *Builder) {
			r.Options, r.Precision, b.TensorRT = map[string]string{"implicit": "fp16"}, engine.FP16, "of unknown version"
		}, "unknown version"},
		"other precision": {func(r *engine.Request, _ *Builder) {
			r.Options, r.Precision = map[string]string{"implicit": "fp16"}, engine.INT8
		}, "the flags say fp16"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t)
			b, started := fake(t, "good")
			c.change(&r, b)
			_, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop)
			if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error()+errText(unwrapped(err)), c.says) {
				t.Errorf("%s: %v", fault.Classify(err), err)
			}
			if len(*started) > 0 {
				t.Error("a child was started for it")
			}
		})
	}
}

func unwrapped(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok && u.Unwrap() != nil {
		return u.Unwrap()
	}
	return err
}

// The timing cache is kept whole outside of the engine and given to the next build.
func TestTimingCacheIsUsedAgain(t *testing.T) {
	b, _ := fake(t, "good")
	b.Timing = filepath.Join(t.TempDir(), "timing")
	for i, want := range []string{".", "..", "..."} {
		dir := t.TempDir()
		if _, err := b.Build(t.Context(), request(t), dir, progress.Noop); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(b.Timing, "TensorrtExecutionProvider_cache_sm90.timing"))
		if err != nil || string(got) != want {
			t.Errorf("build %d left %q, %v", i, got, err)
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "timing*")); len(found) > 0 {
			t.Errorf("the engine has %v", found)
		}
	}
}

// Precision by flags takes a graph that says nothing and the table that the key names.
func TestImplicitINT8(t *testing.T) {
	b, started := fake(t, "lists int8")
	b.Table = filepath.Join(t.TempDir(), "mine.flatbuffers")
	if err := os.WriteFile(b.Table, []byte("ranges"), 0o600); err != nil {
		t.Fatal(err)
	}
	digest, err := fsx.Digest(b.Table)
	if err != nil {
		t.Fatal(err)
	}
	r := request(t)
	r.Precision, r.Options = engine.INT8, Choices{Implicit: &Implicit{INT8: true, Table: digest}}.Map()
	dir := t.TempDir()
	m, err := b.Build(t.Context(), r, dir, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	o := (*started)[0].saw[0].Provider.Options
	if m.Achieved != engine.INT8 || o["trt_int8_enable"] != "1" || o["trt_int8_calibration_table_name"] != tableFile || !slices.Contains(m.Files, tableFile) {
		t.Errorf("%+v\n%v", m, o)
	}
	if err := os.WriteFile(b.Table, []byte("TRT-101303-EntropyCalibration2\nx: 3c010a14\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	native := r
	if digest, err = fsx.Digest(b.Table); err != nil {
		t.Fatal(err)
	}
	native.Options = Choices{Implicit: &Implicit{INT8: true, Table: digest}}.Map()
	if _, err := b.Build(t.Context(), native, t.TempDir(), progress.Noop); fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "TensorRT's own cache") {
		t.Errorf("a table of the other form: %v", err)
	}
	native.Options = Choices{Implicit: &Implicit{INT8: true, Table: digest, NativeTable: true}}.Map()
	if _, err := b.Build(t.Context(), native, t.TempDir(), progress.Noop); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(b.Table, []byte("others"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop); fault.Classify(err) != fault.Input {
		t.Errorf("another table: %v", err)
	}
}

func TestEmbeddedEngineLiesOnce(t *testing.T) {
	b, _ := fake(t, "good")
	r := request(t)
	r.Options = Choices{Embed: true}.Map()
	dir := t.TempDir()
	m, err := b.Build(t.Context(), r, dir, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"engine_1234_0_0_sm90.profile"}, m.Files); d != "" {
		t.Error(d)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.engine")); len(found) > 0 {
		t.Errorf("beside it lies %v", found)
	}
}

// Weights that do not fit into one message are handed over; an engine of them does not
// fit into its context model. The file of weights is a hole: nobody reads it.
func TestWeightsOverTwoGigabytes(t *testing.T) {
	r := request(t)
	m, err := onnx.Load(r.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	const size = 8 * 4 << 26
	m.Proto.Graph.Initializer = []*onnxpb.TensorProto{{
		Name: "w", DataType: int32(onnx.Float32), Dims: []int64{8, 1 << 26}, DataLocation: onnxpb.TensorProto_EXTERNAL,
		ExternalData: []*onnxpb.StringStringEntryProto{{Key: "location", Value: "hole"}, {Key: "offset", Value: "0"}, {Key: "length", Value: strconv.Itoa(size)}},
	}}
	b, err := proto.Marshal(m.Proto)
	if err != nil {
		t.Fatal(err)
	}
	r.Model = filepath.Join(t.TempDir(), "large.onnx")
	hole := filepath.Join(filepath.Dir(r.Model), "hole")
	if err := errors.Join(os.WriteFile(r.Model, b, 0o600), os.WriteFile(hole, nil, 0o600), os.Truncate(hole, size)); err != nil {
		t.Fatal(err)
	}
	builder, started := fake(t, "good")
	if _, err := builder.Build(t.Context(), r, t.TempDir(), progress.Noop); err != nil {
		t.Fatal(err)
	}
	if o := (*started)[0].saw[0].Provider.Options; o["trt_load_user_initializer"] != "1" {
		t.Errorf("it is asked for %v", o)
	}
	builder.Plugin = "/opt/plugin.so" // which has no such option
	if _, err := builder.Build(t.Context(), r, t.TempDir(), progress.Noop); fault.Classify(err) != fault.Usage {
		t.Errorf("by a plugin: %v", err)
	}
	builder.Plugin = ""
	r.Options = Choices{Embed: true}.Map()
	if _, err := builder.Build(t.Context(), r, t.TempDir(), progress.Noop); fault.Classify(err) != fault.Usage {
		t.Errorf("embedded: %v", err)
	}
}

// How a built engine is opened follows from its manifest.
func TestProviderOfAManifest(t *testing.T) {
	r := request(t)
	r.Options = Choices{Device: 1}.Map()
	m := &engine.Manifest{Inputs: engine.Inputs(r, "builder")}
	p, err := Provider(m, "")
	if err != nil || !p.Strict || p.Name != "tensorrt" || p.Options["device_id"] != "1" || p.Options["trt_cuda_graph_enable"] != "0" || p.Options["trt_engine_cache_enable"] != "0" {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzAccount(f *testing.F) {
	f.Add("[W] Name: mm, LayerType: gemm, Inputs: [ { Format/Datatype: Int8 }]\n")
	f.Add("Engine hardware compatibility cannot be enabled as GPU arch < 80.\nName: ")
	f.Fuzz(func(t *testing.T, log string) {
		layers, err := account(strings.NewReader(log))
		for k, n := range layers {
			if k == "" || n < 1 {
				t.Errorf("%q: %v, %v", log, layers, err)
			}
		}
	})
}
