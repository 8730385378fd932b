package orttrt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// fakeChild plays the ONNX Runtime child on a machine with a GPU: it writes what
// the provider would write for the options that it is given.
type fakeChild struct {
	t   *testing.T
	how string
	log io.Writer
	env []string
	saw []buildRequest
}

func (f *fakeChild) Close() error { return nil }

func (f *fakeChild) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	if job != JobBuild {
		f.t.Errorf("the job is %s", job)
	}
	// As it crosses the pipe.
	var r buildRequest
	f.recode(request, &r)
	f.saw = append(f.saw, r)
	p.SetMax(2)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	provider := builtIn
	if r.Provider.Library != "" {
		provider = r.Provider.Name
	}
	out := buildResult{Version: "1.31.1", BuildMS: 900, VerifyMS: 30, PeakBytes: 1 << 20, Subgraphs: []ort.Subgraph{{Provider: provider, Nodes: []ort.Node{{Name: "mm", Op: "MatMul"}, {Name: "s", Op: "Softmax"}}}}}
	o := r.Provider.Options
	switch f.how {
	case "parts":
		out.Subgraphs = append(out.Subgraphs, ort.Subgraph{Provider: "CPUExecutionProvider", Nodes: []ort.Node{{Name: "/nz", Op: "NonZero"}}}, out.Subgraphs[0])
	case "cpu":
		out.Subgraphs[0].Provider = "CPUExecutionProvider"
	case "old":
		out.Version = "1.30.0"
	case "no library":
		return fault.New(fault.Missing, "using ONNX Runtime's provider", "tensorrt", "libnvinfer.so.10: cannot open shared object file", "doctor")
	case "fails":
		f.print("[E:onnxruntime:Default] [2026-11-25 04:00:00   ERROR] 4: [network.cpp::validate] input_ids: kOPT values for profile 0 violate shape constraints: /Add: dimensions not compatible for elementwise.")
		return fault.New(fault.Runtime, "opening", r.Model, "TensorRT EP failed to create engine from network for fused node: TRTKernel_0", "")
	case "warns":
		f.print("[W:onnxruntime:] [TensorRT EP] Profile shapes validation failed. Make sure the provider options are all set.")
	case "eleven":
		f.print("[W:onnxruntime:] TensorRT EP was compiled for TensorRT version >= 11.0 - precision flags have been removed and have no effect")
	case "lists fp32", "lists int8":
		typ := map[string]string{"lists fp32": "Float", "lists int8": "Int8"}[f.how]
		f.print("2026 [W:onnxruntime:Default, tensorrt_execution_provider.h:92 log] [2026-11-25 WARNING] Name: mm, LayerType: gemm, Inputs: [ { Name: x, Dimensions: [-1,8], Format/Datatype: " + typ + " }], Outputs: [ { Name: y, Format/Datatype: Float }], TacticName: t")
	}
	for _, line := range []string{"Total Host Persistent Memory: 80 bytes", "Max Scratch Memory: 512 bytes", "Total Activation Memory: 1024 bytes", "Total Weights Memory: 256 bytes"} {
		f.print("2026-11-25 04:00:00 [W:onnxruntime:Default, tensorrt_execution_provider.h:92 log] [2026-11-25 04:00:00 VERBOSE] " + line)
	}
	ctxModel := o["trt_ep_context_file_path"]
	dir := filepath.Dir(ctxModel)
	stem := filepath.Join(dir, o["trt_engine_cache_path"], o["trt_engine_cache_prefix"]+"_1234_0_0_sm90")
	profile := f.profile(o)
	if f.how == "other profile" {
		profile.Inputs[0].Max[1]++
	}
	f.write(stem+".profile", flexProfile(profile))
	f.write(stem+".engine", []byte("ftrt engine "+o["trt_engine_cache_prefix"]))
	if f.how == "two engines" {
		f.write(stem+"_2.engine", []byte("ftrt"))
	}
	if f.how != "no context" {
		f.write(ctxModel, []byte("EPContext"))
	}
	f.write(filepath.Join(o["trt_timing_cache_path"], "TensorrtExecutionProvider_cache_sm90.timing"), append(f.timing(o["trt_timing_cache_path"]), '.'))
	p.Set(2)
	f.recode(out, result)
	return nil
}

func (f *fakeChild) print(line string) { _, _ = fmt.Fprintln(f.log, line) }

func (f *fakeChild) timing(dir string) []byte {
	b, _ := os.ReadFile(filepath.Join(dir, "TensorrtExecutionProvider_cache_sm90.timing"))
	return b
}

func (f *fakeChild) write(path string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeChild) recode(from, to any) {
	f.t.Helper()
	b, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// profile reads the options as the provider does.
func (f *fakeChild) profile(o map[string]string) profiles.Profile {
	var text strings.Builder
	for _, k := range []string{"min", "opt", "max"} {
		fmt.Fprintf(&text, "trt_profile_%s_shapes=%s\n", k, o["trt_profile_"+k+"_shapes"])
	}
	all, err := syntax.Parse(text.String())
	if err != nil || len(all) != 1 {
		f.t.Fatalf("%d profiles in %s: %v", len(all), text.String(), err)
	}
	return all[0]
}

// flexProfile is a .profile as ONNX Runtime 1.15 and later write it: a FlexBuffers
// map from input to dim, min, max, opt of each dynamic dimension. Everything is 8
// bytes wide here.
func flexProfile(p profiles.Profile) []byte {
	var b bytes.Buffer
	put := func(n int64) { _ = binary.Write(&b, binary.LittleEndian, n) }
	back := func(at int) { put(int64(b.Len() - at)) } // an offset is how far back
	inputs := slices.Clone(p.Inputs)
	slices.SortFunc(inputs, func(x, y profiles.Range) int { return cmp.Compare(x.Input, y.Input) })
	var keys, vectors []int
	for _, r := range inputs {
		keys = append(keys, b.Len())
		b.WriteString(r.Input + "\x00")
	}
	b.Write(make([]byte, (8-b.Len()%8)%8))
	for _, r := range inputs {
		var ints []int64
		for d := range r.Min {
			if r.Min[d] != r.Max[d] {
				ints = append(ints, int64(d), r.Min[d], r.Max[d], r.Opt[d])
			}
		}
		put(int64(len(ints)))
		vectors = append(vectors, b.Len())
		for _, n := range ints {
			put(n)
		}
	}
	put(int64(len(keys)))
	names := b.Len()
	for _, k := range keys {
		back(k)
	}
	back(names)
	put(8)
	put(int64(len(vectors)))
	root := b.Len()
	for _, v := range vectors {
		back(v)
	}
	for range vectors {
		b.WriteByte(11<<2 | 3)
	}
	b.Write(make([]byte, (8-b.Len()%8)%8))
	back(root)
	b.Write([]byte{9<<2 | 3, 8})
	return b.Bytes()
}
