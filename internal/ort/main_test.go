//go:build cgo

package ort

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// TestMain lets the test binary be the ONNX Runtime child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Serve(map[string]child.Job{"run": runJob, "crash": crashJob, "pid": func(context.Context, *child.Call) (any, error) { return os.Getpid(), nil }}))
	}
	os.Exit(m.Run())
}

func runJob(_ context.Context, call *child.Call) (any, error) {
	var path string
	if err := call.Decode(&path); err != nil {
		return nil, err
	}
	s, err := Open(path, Options{})
	if err != nil {
		return nil, err
	}
	out, err := s.Run(call.Tensors, nil)
	call.Reply(out...)
	return nil, err
}

// crashJob has ONNX Runtime read memory that is no longer there.
func crashJob(_ context.Context, call *child.Call) (any, error) {
	var path string
	if err := call.Decode(&path); err != nil {
		return nil, err
	}
	s, err := Open(path, Options{})
	if err != nil {
		return nil, err
	}
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	in := feeds()
	in[0].Bytes = page[:len(in[0].Bytes)]
	b, err := s.Bind(in, []onnx.Tensor{zeros("y", onnx.Float32, 2, 64)})
	if err != nil {
		return nil, err
	}
	if err := unix.Munmap(page); err != nil {
		return nil, err
	}
	return nil, b.Run()
}

var once sync.Once

// load loads ONNX Runtime into the test's process, or skips the test.
func load(t *testing.T) {
	t.Helper()
	library := testenv.ORT(t)
	once.Do(func() {
		if err := Init(library); err != nil {
			t.Fatal(err)
		}
	})
	if Version() == "" {
		t.Fatal("ONNX Runtime is not loaded")
	}
}

// model writes y = x w [n, 64], with w the identity times 2, and a cache:
// present [1, past + new, 4] = past ++ new, in float16.
func model(t *testing.T) string {
	t.Helper()
	m := onnx.New("test")
	g := m.Graph()
	g.Input = append(g.Input,
		onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(64)),
		onnx.ValueInfo("past", onnx.Float16, onnx.Fixed(1), onnx.Sym("past"), onnx.Fixed(4)),
		onnx.ValueInfo("new", onnx.Float16, onnx.Fixed(1), onnx.Sym("new"), onnx.Fixed(4)))
	g.Output = append(g.Output,
		onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(64)),
		onnx.ValueInfo("present", onnx.Float16, onnx.Fixed(1), onnx.Sym("past + new"), onnx.Fixed(4)))
	g.Node = append(g.Node,
		onnx.Node("MatMul", "mm", []string{"x", "w"}, []string{"y"}),
		onnx.Node("Concat", "cat", []string{"past", "new"}, []string{"present"}, "axis", 1))
	w := make([]float32, 64*64)
	for i := range 64 {
		w[i*64+i] = 2
	}
	m.SetWeight(onnx.Floats("w", []int64{64, 64}, w...))
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func zeros(name string, typ onnx.DType, dims ...int64) onnx.Tensor {
	n, err := typ.Bytes(dims)
	if err != nil {
		panic(err)
	}
	return onnx.Tensor{Name: name, Type: typ, Dims: dims, Bytes: make([]byte, n)}
}

// feeds are x [2, 64] = 0, 1, 2 ..., an empty past and one new row of 1.5.
func feeds() []onnx.Tensor {
	x := zeros("x", onnx.Float32, 2, 64)
	for i := range 128 {
		binary.LittleEndian.PutUint32(x.Bytes[4*i:], math.Float32bits(float32(i)))
	}
	row := zeros("new", onnx.Float16, 1, 1, 4)
	for i := range 4 {
		binary.LittleEndian.PutUint16(row.Bytes[2*i:], 0x3e00)
	}
	return []onnx.Tensor{x, zeros("past", onnx.Float16, 1, 0, 4), row}
}

func check(t *testing.T, y, present onnx.Tensor) {
	t.Helper()
	values, err := y.Float32s()
	if err != nil || len(values) != 128 {
		t.Fatalf("y has %d values: %v", len(values), err)
	}
	for i, v := range values {
		if v != float32(2*i) {
			t.Fatalf("y[%d] is %g, not %d", i, v, 2*i)
		}
	}
	values, err = present.Float32s()
	if err != nil || len(values) != 4 || values[3] != 1.5 {
		t.Errorf("present is %v: %v", values, err)
	}
}
