package onnx

import (
	"bytes"
	"path/filepath"
	"testing"
)

func TestSaveThenLoad(t *testing.T) {
	m := New("g")
	big := make([]float32, 5000)
	for i := range big {
		big[i] = float32(i)
	}
	m.SetWeight(Floats("big", []int64{50, 100}, big...))
	m.SetWeight(Ints("shape", []int64{2}, 3, 4))
	m.Graph().Input = append(m.Graph().Input, ValueInfo("x", Float32, Sym("n"), Fixed(50)))
	m.Graph().Output = append(m.Graph().Output, ValueInfo("y", Float32, Sym("n"), Fixed(100)))
	m.Graph().Node = append(m.Graph().Node, Node("MatMul", "mm", []string{"x", "big"}, []string{"y"}))
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(m, path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Close() }()
	for _, name := range []string{"big", "shape"} {
		want, _ := m.Weight(name).Bytes()
		have, err := got.Weight(name).Bytes()
		if err != nil || !bytes.Equal(want, have) {
			t.Errorf("%s: %v, equal %v", name, err, bytes.Equal(want, have))
		}
	}
	if _, ok := got.Weight("big").Data.(Segment); !ok {
		t.Errorf("big weights are held in memory: %T", got.Weight("big").Data)
	}
}
