package onnx

import (
	"os"
	"path/filepath"
	"testing"
)

// referred writes m's graph into a directory of its own and reads it from there.
func referred(t *testing.T, m *Model) (_ *Model, dir, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "cut.onnx")
	dir, err := Refer(m.Clone(), path)
	if err != nil || dir == "" {
		return nil, dir, path
	}
	again, err := LoadFrom(path, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	return again, dir, path
}

// A graph elsewhere has the same weights, without a copy of them.
func TestRefer(t *testing.T) {
	from := save(t, sample(), SaveOptions{})
	m := read(t, from)
	want, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	again, dir, path := referred(t, m)
	if again == nil || dir != filepath.Dir(from) {
		t.Fatalf("weights in %q, want %q", dir, filepath.Dir(from))
	}
	if got, err := again.Digest(); got != want || err != nil {
		t.Errorf("digest %s, %v, want %s", got, err, want)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 1<<10 {
		t.Errorf("the graph has %d bytes, %v", info.Size(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%v lie beside the graph", left)
	}
}

// What a runtime would not map is written into the graph: weights made on the spot,
// and those at odd places of the .onnx file itself.
func TestReferEmbeds(t *testing.T) {
	m := read(t, save(t, sample(), SaveOptions{}))
	m.SetWeight(Floats("b", []int64{600}, make([]float32, 600)...))
	odd := m.Weight("w").Data.(Segment)
	odd.Offset, odd.Length = 4, 2400
	m.SetWeight(&Weight{Name: "odd", Type: Float32, Dims: []int64{600}, Data: odd})
	again, _, _ := referred(t, m)
	if again == nil {
		t.Fatal("not referred to")
	}
	want, _ := m.Digest()
	if got, err := again.Digest(); got != want || err != nil {
		t.Errorf("digest %s, %v, want %s", got, err, want)
	}
	if s, ok := again.Weight("odd").Data.(Segment); ok && s.File == odd.File {
		t.Error("a weight at byte 4 is referred to")
	}
}

// Where no weight lies in a file there is no directory, and nothing is written.
func TestReferGivesUp(t *testing.T) {
	again, dir, path := referred(t, sample())
	if again != nil || dir != "" {
		t.Errorf("weights in memory lie in %q", dir)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a graph was written all the same")
	}
}
