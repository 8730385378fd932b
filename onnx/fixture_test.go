package onnx

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

var fixtures = []string{"raw.onnx", "external.onnx", "typed.onnx", "old.onnx", "if.onnx", "unknown.onnx"}

// read loads a model that is closed with the test.
func read(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func save(t testing.TB, m *Model, o SaveOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(m, path, o); err != nil {
		t.Fatal(err)
	}
	return path
}

type weight struct {
	Type  int32
	Dims  []int64
	Bytes string
}

func wanted(t testing.TB) map[string]map[string]weight {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]weight
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// weightsEqual holds a model to what onnx.load reads.
func weightsEqual(t testing.TB, m *Model, want map[string]weight) {
	t.Helper()
	for name, x := range want {
		w := m.Weight(name)
		if w == nil {
			t.Errorf("weight %q is missing", name)
			continue
		}
		b, err := w.Bytes()
		if err != nil || hex.EncodeToString(b) != x.Bytes || int32(w.Type) != x.Type || !slices.Equal(w.Dims, x.Dims) {
			t.Errorf("%s: %s %v %x, %v; want type %d %v %s", name, w.Type, w.Dims, b, err, x.Type, x.Dims, x.Bytes)
		}
	}
}

// Every way to store a weight is read as onnx.load reads it, and survives.
func TestFixtures(t *testing.T) {
	want := wanted(t)
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m := read(t, filepath.Join("testdata", name))
			weightsEqual(t, m, want[name])
			again := read(t, save(t, m, SaveOptions{}))
			weightsEqual(t, again, want[name])
			before, err := m.Digest()
			after, err2 := again.Digest()
			if before != after || err != nil || err2 != nil {
				t.Errorf("digests %s and %s, %v, %v", before, after, err, err2)
			}
		})
	}
}

// ONNX's own library accepts what Save writes and reads the same out of it.
func TestSavedModelsInPython(t *testing.T) {
	python := testenv.Python(t, "oracle")
	const script = `
import sys, numpy, onnx
def tensors(g):
    yield from g.initializer
    for n in g.node:
        for a in n.attribute:
            if a.HasField("g"): yield from tensors(a.g)
for a, b in zip(sys.argv[1::2], sys.argv[2::2]):
    onnx.checker.check_model(b, full_check="unknown" not in a) # inference knows no sparse weights
    x, y = onnx.load(a), onnx.load(b)
    u, v = list(tensors(x.graph)), list(tensors(y.graph))
    assert [t.name for t in u] == [t.name for t in v], (a, u, v)
    for s, t in zip(u, v):
        s, t = onnx.numpy_helper.to_array(s), onnx.numpy_helper.to_array(t)
        assert s.dtype == t.dtype and s.shape == t.shape and s.tobytes() == t.tobytes() or s.dtype == object, a
    for m in x, y:
        for t in tensors(m.graph): t.CopyFrom(onnx.TensorProto(name=t.name))
    x, y = ([l for l in str(m).splitlines() if not l.endswith((': ""', ": 0"))] for m in (x, y)) # stated or absent, the same
    assert x == y, (x, y)
`
	args := []string{"-c", script}
	for _, name := range fixtures {
		path := filepath.Join("testdata", name)
		args = append(args, path, save(t, read(t, path), SaveOptions{}))
	}
	if out, err := exec.Command(python, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// The committed fixtures are what their script writes.
func TestFixturesAreMade(t *testing.T) {
	python, dir := testenv.Python(t, "oracle"), t.TempDir()
	if out, err := exec.Command(python, filepath.Join("testdata", "make.py"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range append([]string{"want.json", "weights.bin", "if.bin"}, fixtures...) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		committed, err2 := os.ReadFile(filepath.Join("testdata", name))
		if err != nil || err2 != nil || !bytes.Equal(got, committed) {
			t.Errorf("%s differs, %v, %v", name, err, err2)
		}
	}
}

// Weights of subgraphs come along, wherever the model is saved.
func TestSubgraphsKeepTheirWeights(t *testing.T) {
	path := save(t, read(t, filepath.Join("testdata", "if.onnx")), SaveOptions{})
	branch := read(t, path).Graph().GetNode()[0].GetAttribute()
	for _, a := range branch {
		for _, x := range a.GetG().GetInitializer() {
			if n := len(x.GetRawData()); n != 20*24*4 || len(x.GetExternalData()) > 0 {
				t.Errorf("%s: %d bytes, external %v", x.GetName(), n, x.GetExternalData())
			}
		}
	}
}

// Check accepts the fixtures, and what it has against one it says.
func TestCheckFixtures(t *testing.T) {
	for _, name := range fixtures {
		err := Check(read(t, filepath.Join("testdata", name)))
		if name == "unknown.onnx" {
			if err == nil || !strings.Contains(err.Error(), "sparse weights") || strings.Contains(err.Error(), "domain") {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
