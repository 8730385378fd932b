package trtexec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// TestMain lets this binary play trtexec, which needs a GPU.
func TestMain(m *testing.M) {
	if how := os.Getenv("FAKE_TRTEXEC"); how != "" {
		os.Exit(play(how, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// play is a trtexec of version 10.13.3 or, for "eleven", 11.1.0.
func play(how string, args []string) int {
	version := "101303"
	if how == "eleven" {
		version = "110100"
	}
	fmt.Printf("&&&& RUNNING TensorRT.trtexec [TensorRT v%s] [b9] # trtexec %s\n", version, strings.Join(args, " "))
	flags := map[string]string{}
	count := 0
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		flags[k] = v
		if k == "--minShapes" {
			count++
		}
	}
	if _, help := flags["--help"]; help {
		return 0
	}
	if _, given := flags["--stronglyTyped"]; given != (how != "eleven") {
		fmt.Println("[E] Unknown option: --stronglyTyped")
		return 1
	}
	switch how {
	case "refuses":
		fmt.Println("[E] Error[4]: IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (kOPT values for profile 0 violate shape constraints: /Add_162: dimensions not compatible for elementwise.)")
		fmt.Println("&&&& FAILED TensorRT.trtexec [TensorRT v101303] [b9]")
		return 1
	case "dies":
		return 139
	case "hangs":
		time.Sleep(time.Minute)
	case "fewer":
		count--
	case "nothing":
		return 0
	case "talks":
		line := strings.Repeat("[V] Tactic: 0x0000 Time: 0.1\n", 1<<15)
		for range 80 {
			fmt.Print(line)
		}
	}
	typ := "FP32"
	if how == "loses" {
		typ = "Half"
	}
	bindings := `"input_ids"`
	for i := 1; i < count; i++ {
		bindings += fmt.Sprintf(`,"input_ids [profile %d]"`, i)
	}
	layers := fmt.Sprintf(`{"Layers":[{"Name":"a","LayerType":"gemm","Inputs":[{"Name":"x","Format/Datatype":"Row major linear %s"}]}],"Bindings":[%s]}`, typ, bindings)
	for path, text := range map[string]string{flags["--saveEngine"]: "ftrt plan", flags["--exportLayerInfo"]: layers} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	for range count {
		fmt.Print("[11/20/2026-10:10:10] [I] [TRT] Max Scratch Memory: 512 bytes\n[11/20/2026-10:10:10] [I] [TRT] Total Activation Memory: 1024 bytes\n")
	}
	fmt.Println("[11/20/2026-10:10:10] [I] Engine built in 1.5 sec.")
	fmt.Println("&&&& PASSED TensorRT.trtexec [TensorRT v101303] [b9]")
	return 0
}

// fake is the tool of this binary.
func fake(t *testing.T, how string) *Builder {
	t.Helper()
	t.Setenv("FAKE_TRTEXEC", how)
	tool, err := Ask(t.Context(), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return &Builder{Tool: tool, GPU: "a fake GPU"}
}

func request(t *testing.T) engine.Request {
	t.Helper()
	m := onnx.New("test")
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("input_ids", onnx.Float32, onnx.Fixed(1), onnx.Sym("n")))
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, onnx.Fixed(1), onnx.Sym("n")))
	g.Node = append(g.Node, onnx.Node("Identity", "id", []string{"input_ids"}, []string{"y"}))
	model := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, model, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	profile := func(name string, seq int64) profiles.Profile {
		return profiles.Profile{Name: name, Inputs: []profiles.Range{{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{1, seq}}}}
	}
	return engine.Request{Name: "trtexec-fp32", Backend: "trtexec", Precision: engine.FP32, Model: model, ModelDigest: "abc",
		Plan: &profiles.Plan{Profiles: []profiles.Profile{profile("prefill", 64), profile("decode", 1)}}}
}

func TestContractOfAFakeTrtexec(t *testing.T) {
	good := request(t)
	wrong := good
	wrong.Precision = engine.INT8
	enginetest.Run(t, func(t *testing.T) engine.Builder { return fake(t, "ten") }, good, wrong)
}

func TestFakeTrtexecOfBothDialects(t *testing.T) {
	for how, version := range map[string]string{"ten": "10.13.3", "eleven": "11.1.0"} {
		b := fake(t, how)
		m, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if m.Memory == nil || m.Memory.Profiles[1].ActivationBytes != 1024 || len(m.Measured.Phases) != 1 || m.Measured.Phases[0].MS != 1500 {
			t.Errorf("%s: its log is read as %+v, %+v", how, m.Memory, m.Measured)
		}
		if b.Tool.Version() != version || !strings.Contains(m.Builder, version) || m.Layers["gemm fp32"] != 1 {
			t.Errorf("%s: %+v", how, m)
		}
	}
}

func TestFailuresOfAFakeTrtexec(t *testing.T) {
	for how, want := range map[string]string{
		"refuses": "profile 0",
		"dies":    "exit status 139",
		"fewer":   "1 of 2 profiles",
		"nothing": "left no engine",
		"loses":   "its matrix products run in fp16",
	} {
		t.Run(how, func(t *testing.T) {
			_, err := fake(t, how).Build(t.Context(), request(t), t.TempDir(), progress.Noop)
			if fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestAFakeTrtexecThatHangsIsEnded(t *testing.T) {
	b := fake(t, "hangs")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, fault.New(fault.Runtime, "building", "", "it took longer than a second", "raise the limit"))
	defer cancel()
	begin := time.Now()
	_, err := b.Build(ctx, request(t), t.TempDir(), progress.Noop)
	if fault.Classify(err) != fault.Runtime || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

func TestLogOfAFakeTrtexecIsBounded(t *testing.T) {
	dir := t.TempDir()
	if _, err := fake(t, "talks").Build(t.Context(), request(t), dir, progress.Noop); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, logFile)); err != nil || info.Size() > maxLog {
		t.Errorf("%v, %v", info.Size(), err)
	}
}

func TestWhatIsNoTrtexec(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trtexec")
	for name, script := range map[string]string{
		"silent": "#!/bin/sh\nexit 0\n",
		"old":    "#!/bin/sh\necho '&&&& RUNNING TensorRT.trtexec [TensorRT v8601] # trtexec --help'\n",
		"broken": "#!/bin/sh\necho 'libnvinfer.so.10: cannot open shared object file' >&2\nexit 127\n",
	} {
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Ask(t.Context(), path); fault.Classify(err) != fault.Missing {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAWrapperThatLeavesAProcessIsNotWaitedFor is of scripts whose child keeps
// their output open: one hangs when it is asked for its help, one ends a build
// before its child ends.
func TestAWrapperThatLeavesAProcessIsNotWaitedFor(t *testing.T) {
	b := fake(t, "ten")
	b.Tool.Path = filepath.Join(t.TempDir(), "trtexec")
	wrapper := func(script string) {
		if err := os.WriteFile(b.Tool.Path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	wrapper("sleep 60; exit 1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Ask(ctx, b.Tool.Path); fault.Classify(err) != fault.Missing {
		t.Errorf("asked: %v", err)
	}
	wrapper("sleep 60 & exit 1")
	if _, err := b.Build(t.Context(), request(t), t.TempDir(), progress.Noop); fault.Classify(err) != fault.Runtime {
		t.Errorf("built: %v", err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("both took %v", took)
	}
}

func FuzzLayers(f *testing.F) {
	f.Add([]byte(`{"Layers":[{"Name":"a","LayerType":"gemm","Inputs":[{"Format/Datatype":"Int8"}]}],"Bindings":["a","a [profile 1]"]}`))
	f.Add([]byte(`{"Layers":["a"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseLayers(b); err == nil && (len(a.layers) == 0 || a.profiles < 1) {
			t.Errorf("%q: %+v", b, a)
		}
	})
}
