package pack

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/profiles"
)

func model(t *testing.T) Model {
	t.Helper()
	graph := filepath.Join(t.TempDir(), "model.onnx")
	for _, path := range []string{graph, graph + ".data"} {
		if err := os.WriteFile(path, []byte(filepath.Base(path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &contract.Contract{
		Inputs:  []contract.Tensor{{Name: "input_ids", Type: "int64", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}}}},
		Outputs: []contract.Tensor{{Name: "logits", Type: "float", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}, {Size: 64}}}},
	}
	return Model{Name: "gpt2", Release: "24.08", Contract: c, Graph: graph, Digest: strings.Repeat("ab", 32), Data: []string{graph + ".data"}, Notes: []string{"made in a test"}, Profiles: []profiles.Profile{
		{Name: "wide", Inputs: []profiles.Range{{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 128}}}},
	}}
}

type answer struct {
	Name, Backend                   string
	Versions, Files, Keys, Profiles []string
	Policy, Sizes                   []int
	Warmup                          map[string]map[string][]any
}

// read has Triton's own protobuf read a repository.
func read(t *testing.T, dir, name string) (a answer) {
	t.Helper()
	out, err := exec.Command(testenv.Python(t, "oracle-trt"), "testdata/triton.py", dir, name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTritonReadsTheRepositoryOfAGraph(t *testing.T) {
	m, dir := model(t), filepath.Join(t.TempDir(), "repository")
	if err := Triton(dir, m); err != nil {
		t.Fatal(err)
	}
	got := read(t, dir, "gpt2")
	known, err := Keys("24.08")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range got.Keys {
		if !slices.Contains(known, k) {
			t.Errorf("Triton 24.08 has no parameter %s", k)
		}
	}
	if len(got.Keys) != 8 {
		t.Errorf("parameters %v", got.Keys)
	}
	got.Keys = nil
	want := answer{
		Name: "gpt2", Backend: "onnxruntime", Versions: []string{"1"}, Files: []string{"model.onnx", "model.onnx.data"}, Profiles: []string{},
		Policy: []int{1}, Sizes: []int{1, 1},
		Warmup: map[string]map[string][]any{
			"wide-min": {"input_ids": {"TYPE_INT64", 1.0, 1.0}}, "wide-max": {"input_ids": {"TYPE_INT64", 4.0, 128.0}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTritonReadsTheRepositoryOfAPlan(t *testing.T) {
	m, dir := model(t), filepath.Join(t.TempDir(), "repository")
	m.Plan, m.Graph = m.Graph, ""
	m.Manifest = &engine.Manifest{Kind: "manifest", Key: "abc", Licence: "built under a licence"}
	m.Profiles = append(m.Profiles, m.Profiles[0])
	m.Profiles[1].Name = "decode"
	if err := Triton(dir, m); err != nil {
		t.Fatal(err)
	}
	got := read(t, dir, "gpt2")
	if got.Backend != "tensorrt" || !slices.Equal(got.Files, []string{"model.plan"}) || len(got.Warmup) != 4 || !slices.Equal(got.Profiles, []string{"0", "1"}) {
		t.Errorf("%+v", got)
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.Contains(string(readme), "built under a licence") || !strings.Contains(string(readme), "made in a test") {
		t.Errorf("%s, %v", readme, err)
	}
}

func TestChecksumsProveTheFiles(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("sha256sum is not installed")
	}
	dir := filepath.Join(t.TempDir(), "repository")
	if err := Triton(dir, model(t)); err != nil {
		t.Fatal(err)
	}
	check := func() error {
		c := exec.Command("sha256sum", "-c", Checksums)
		c.Dir = dir
		return c.Run()
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gpt2", "1", "model.onnx"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if check() == nil {
		t.Error("a changed file is not found")
	}
}

func TestKeysByRelease(t *testing.T) {
	for release, n := range map[string]int{"20.01": 0, "21.08": 2, "23.12": 6, "24.04": 32, "26.06": 32} {
		if all, err := Keys(release); err != nil || len(all) != n {
			t.Errorf("%s: %d keys, want %d (%v)", release, len(all), n, err)
		}
	}
	for _, release := range []string{"", "24", "24.13", "latest", "24.4.1"} {
		if _, err := Keys(release); fault.Classify(err) != fault.Usage {
			t.Errorf("%q: %v", release, err)
		}
	}
}

func TestWhatIsNotPacked(t *testing.T) {
	for name, change := range map[string]func(*Model){
		"before profiles were taken": func(m *Model) { m.Release = "23.12" },
		"a name with a path":         func(m *Model) { m.Name = "../x" },
		"graph and plan":             func(m *Model) { m.Plan = m.Graph },
		"two profiles of a graph":    func(m *Model) { m.Profiles = append(m.Profiles, m.Profiles...) },
		"no contract":                func(m *Model) { m.Contract = nil },
	} {
		m, home := model(t), t.TempDir()
		change(&m)
		if err := Triton(filepath.Join(home, "r"), m); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(home); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
