package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// tools is a directory with a trtexec and an nvidia-smi of a machine that has a GPU.
// trtexec writes what TensorRT 10.13.3 writes, as far as we read it.
func tools(t *testing.T, layers string) string {
	t.Helper()
	dir := t.TempDir()
	plan := append([]byte("ftrt"), make([]byte, 100)...)
	copy(plan[24:], []byte{10, 13, 3, 9})
	binary.LittleEndian.PutUint64(plan[16:], uint64(len(plan)))
	for name, text := range map[string]string{
		"plan": string(plan), "layers": layers,
		"nvidia-smi": "#!/bin/sh\necho 'NVIDIA L4, 8.9, 580.65.06'\n",
		"trtexec": `#!/bin/sh
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v101303] [b9] # trtexec $*"
for a; do case $a in
--stronglyTyped) typed=1 ;;
--saveEngine=*) cp ` + dir + `/plan "${a#*=}"; [ -n "$typed" ] || exit 1; echo "[I] Engine built in 12.5 sec." ;;
--exportLayerInfo=*) cp ` + dir + `/layers "${a#*=}" ;;
--exportTimes=*) echo '[{"computeMs":1.5},{"computeMs":2.5},{"computeMs":2.0}]' > "${a#*=}" ;;
esac; done
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// two layers, and bindings of two profiles.
const good = `{"Layers":[{"Name":"a","LayerType":"gemm","Inputs":[{"Name":"x","Format/Datatype":"Row major linear Float"}]}],"Bindings":["input_ids","input_ids [profile 1]"]}`

func input(t *testing.T) Input {
	t.Helper()
	dir := t.TempDir()
	must(t, export.Random(dir, export.Shape{Layers: 1, Width: 32, Heads: 2, Vocab: 64, Positions: 32}, 1))
	m, err := export.GPT2(dir, export.Options{})
	must(t, err)
	defer func() { _ = m.Close() }()
	r := engine.Request{Name: "gpt2-fp32", Backend: "trtexec", Precision: engine.FP32, Model: filepath.Join(dir, "g", "graph.onnx")}
	must(t, os.Mkdir(filepath.Dir(r.Model), 0o755))
	must(t, onnx.Save(m, r.Model, onnx.SaveOptions{}))
	r.ModelDigest, err = m.Digest()
	must(t, err)
	r.Contract, err = contract.Infer(m)
	must(t, err)
	r.Plan, err = profiles.Derive(r.Contract, profiles.Workload{Scenarios: []profiles.Scenario{{Name: "a", Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "phase"})
	must(t, err)
	return Input{Request: r, Data: []string{r.Model + ".data"}, CreatedBy: "trtforge test", Limits: map[string]float64{"bytes_max": 1e6},
		Documents: map[string]any{"verdicts.json": []string{"pass"}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build runs build.sh as that machine would.
func build(t *testing.T, dir, tools string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	c := exec.Command("bash", filepath.Join(dir, scriptFile))
	c.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
	return c.CombinedOutput()
}

func packed(t *testing.T) (dir string, in Input) {
	t.Helper()
	in, dir = input(t), filepath.Join(t.TempDir(), "bundle")
	must(t, Write(dir, in))
	return dir, in
}

// TestABundleGoesAndComesBack: the result of a script has the key of the build that
// trtexec would do through us on that machine.
func TestABundleGoesAndComesBack(t *testing.T) {
	dir, in := packed(t)
	if out, err := build(t, dir, tools(t, good)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	must(t, err)
	b, err := Read(filepath.Join(dir, resultDir))
	must(t, err)
	e, all, err := b.Result(t.Context(), s)
	must(t, err)
	m := e.Manifest
	if want := engine.Key(in.Request, "tensorrt 10.13.3 on NVIDIA L4, compute 8.9, driver 580.65.06"); m.Key != want || m.Adopted || m.Achieved != engine.FP32 {
		t.Errorf("key %s, want %s; %+v", m.Key, want, m)
	}
	if m.Measured.BuildMS != 12500 || len(m.Profiles) != 2 || len(m.Warnings) != 1 || m.Digests["rows.jsonl"] == "" || m.Digests[contract.File] == "" {
		t.Errorf("%+v", m)
	}
	if len(all) != 2 || all[0].Name != "ttft" || all[1].Name != "tpot" || all[1].Value != 2 || all[1].N != 3 || !strings.Contains(strings.Join(all[1].Warnings, " "), "decode") {
		t.Errorf("%+v", all)
	}
	if again, _, err := b.Result(t.Context(), s); err != nil || !again.Cached {
		t.Errorf("again: %v", err)
	}
}

func TestResultsThatAreNotWhatWasAsked(t *testing.T) {
	for name, c := range map[string]struct {
		layers string
		harm   func(t *testing.T, dir string)
		exit   int
		say    string
	}{
		"not built":      {good, func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, resultDir))) }, 4, "left no engine"},
		"fewer profiles": {strings.ReplaceAll(good, `,"input_ids [profile 1]"`, ""), nil, 5, "1 of 2 profiles"},
		"another type":   {strings.ReplaceAll(good, "Float", "Half"), nil, 5, "matrix products run in fp16"},
		"no GPU noted": {good, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, resultDir, "gpu.csv"), "\n")
			resum(t, dir)
		}, 4, "names no GPU"},
		"a cut log": {good, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, resultDir, "trtexec.log"), "&&&& RUNN")
			resum(t, dir)
		}, 4, "does not begin as a log"},
		"a plan of text": {good, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, resultDir, "engine.plan"), "plan")
			resum(t, dir)
		}, 4, "no TensorRT plan"},
		"another graph": {good, func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, "graph.onnx.data"))
			must(t, err)
			b[len(b)/2] ^= 1
			write(t, filepath.Join(dir, "graph.onnx.data"), string(b))
		}, 4, "graph.onnx.data changed"},
		"another plan": {good, func(t *testing.T, dir string) { write(t, filepath.Join(dir, planFile), "{}") }, 4, "plan.json changed"},
		"a cut engine": {good, func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, resultDir, "engine.plan"), 80))
		}, 4, "engine.plan changed"},
		"a build of other profiles": {good, func(t *testing.T, dir string) {
			log := filepath.Join(dir, resultDir, "trtexec.log")
			b, err := os.ReadFile(log)
			must(t, err)
			write(t, log, strings.Replace(string(b), "input_ids:1x8", "input_ids:1x7", 1))
			resum(t, dir)
		}, 4, "its log is of a build without --minShapes="},
		"a head to come": {good, func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, headFile), `{"kind":"build","schema_version":2}`)
		}, 4, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := packed(t)
			if out, err := build(t, dir, tools(t, c.layers)); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.harm != nil {
				c.harm(t, dir)
			}
			s, err := store.Open(filepath.Join(t.TempDir(), "store"))
			must(t, err)
			b, err := Read(dir)
			if err == nil {
				_, _, err = b.Result(t.Context(), s)
			}
			if fault.Exit(err) != c.exit || !strings.Contains(fmt.Sprint(err), c.say) {
				t.Errorf("exit %d, %v", fault.Exit(err), err)
			}
			if all, err := s.List(); err != nil || len(all) != 0 {
				t.Errorf("the store has %v, %v", all, err)
			}
		})
	}
}

// resum lists what a result holds anew, as one would who means to deceive.
func resum(t *testing.T, dir string) {
	t.Helper()
	c := exec.Command("sh", "-c", "rm "+sumsFile+"; sha256sum -- * > "+sumsFile)
	c.Dir = filepath.Join(dir, resultDir)
	must(t, c.Run())
}

func TestTheScriptSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(dir, with string)
		exit int
		say  string
	}{
		"a file that was changed": {func(dir, _ string) { write(t, filepath.Join(dir, planFile), "{}") }, 4, "not those that were packed"},
		"another TensorRT": {func(_, with string) {
			write(t, filepath.Join(with, "trtexec"), "#!/bin/sh\necho 'TensorRT.trtexec [TensorRT v80601]'\n")
		}, 3, "this script knows 10 and 11"},
		"no GPU": {func(_, with string) { write(t, filepath.Join(with, "nvidia-smi"), "#!/bin/sh\nexit 9\n") }, 3, "no NVIDIA GPU answers"},
		"a build that fails": {func(_, with string) {
			write(t, filepath.Join(with, "trtexec"), "#!/bin/sh\necho 'TensorRT.trtexec [TensorRT v101303]'\n[ $1 = --help ] || { echo out of memory; exit 1; }\n")
		}, 5, "out of memory"},
		"a profile that does not run": {func(_, with string) {
			write(t, filepath.Join(with, "trtexec"), "#!/bin/sh\necho 'TensorRT.trtexec [TensorRT v101303]'\ncase $* in *--useProfile=1*) echo no memory; exit 1;; esac\n")
		}, 5, "no memory"},
		"a tool that is a lie": {func(_, with string) { write(t, filepath.Join(with, "trtexec"), "#!/bin/sh\nexit 1\n") }, 3, "is of TensorRT ''"},
	} {
		dir, _ := packed(t)
		with := tools(t, good)
		c.harm(dir, with)
		out, err := build(t, dir, with)
		exit := 0
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			exit = e.ExitCode()
		}
		if exit != c.exit || !strings.Contains(string(out), c.say) {
			t.Errorf("%s: exit %d %s", name, exit, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o700))
}

// TestNamesThatAShellWouldRead: an input's name is never a command.
func TestNamesThatAShellWouldRead(t *testing.T) {
	for _, name := range []string{"a'; rm -rf ~; '", "a b", "$(x)", "a\nb"} {
		if line, err := quoted([]string{"--minShapes=" + name + ":1x1"}); err == nil {
			t.Errorf("%q became %s", name, line)
		}
	}
	if line, err := quoted([]string{"--shapes=past_key_values.0.key:1x2x3,input_ids:1x1"}); err != nil || !strings.HasPrefix(line, "'--shapes=") {
		t.Errorf("%s, %v", line, err)
	}
}

// TestFormat holds build.json to the example in the documentation.
func TestFormat(t *testing.T) {
	head := Head{Kind: "build", SchemaVersion: SchemaVersion, CreatedBy: "trtforge 1.0.0", Name: "trtexec-int8", Precision: engine.INT8,
		ModelDigest: strings.Repeat("a2", 32), WeightBytes: 5120, Profiles: 2, Limits: map[string]float64{"kl_mean_max": 0.01, "ppl_ratio_max": 1.1}}
	got := filepath.Join(t.TempDir(), headFile)
	must(t, fsx.WriteJSON(got, head))
	example := filepath.Join(testenv.Root(t), "docs", "formats", headFile)
	b, err := os.ReadFile(got)
	must(t, err)
	golden.Check(t, example, b)
	var back Head
	must(t, decode(example, maxHead, &back))
	if d := cmp.Diff(head, back); d != "" {
		t.Error(d)
	}
}

// FuzzTimes: what comes back from another machine is read with care.
func FuzzTimes(f *testing.F) {
	f.Add([]byte(`[{"computeMs":1.5},{"computeMs":-1}]`))
	f.Add([]byte(`[1e999]`))
	b := &Bundle{Request: engine.Request{Plan: &profiles.Plan{Profiles: []profiles.Profile{{Name: "a"}}}}}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		must(t, os.WriteFile(filepath.Join(dir, "times-0.json"), text, 0o600))
		all, err := b.times(dir)
		if err != nil && fault.Classify(err) != fault.Input {
			t.Errorf("class of %v", err)
		}
		for _, r := range all {
			if !(r.Value > 0) {
				t.Errorf("%q: %+v", text, r)
			}
		}
	})
}
