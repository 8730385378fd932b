//go:build cgo

package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

func open(t *testing.T, path string, o Options) *Session {
	t.Helper()
	load(t)
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRun(t *testing.T) {
	s := open(t, model(t), Options{})
	out, err := s.Run(feeds(), nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, out[0], out[1])
	if got := fmt.Sprint(out[0].Dims, out[1].Dims); got != "[2 64] [1 1 4]" {
		t.Errorf("shapes are %s", got)
	}
	one, err := s.Run(feeds(), []string{"present"})
	if err != nil || len(one) != 1 || one[0].Name != "present" {
		t.Errorf("fetching one gave %v, %v", one, err)
	}
}

// TestRecycling: an output that is fed back stays for one more run, others do not.
func TestRecycling(t *testing.T) {
	r := open(t, model(t), Options{}).Recycling("present")
	var runs [3][]onnx.Tensor
	for i := range runs {
		in := feeds()
		in[2].Bytes[0], in[2].Bytes[1] = 0, byte(0x3c+4*i) // 1, 2 and 4 in float16
		out, err := r.Run(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		runs[i] = out
	}
	address := func(run, output int) *byte { return &runs[run][output].Bytes[0] }
	if address(0, 0) != address(1, 0) || address(0, 1) == address(1, 1) || address(0, 1) != address(2, 1) {
		t.Error("memory is not used again as it should be")
	}
	first, _ := runs[0][1].Float32s()
	second, _ := runs[1][1].Float32s()
	if first[0] != 4 || second[0] != 2 {
		t.Errorf("the first run's memory holds %v, the second's %v", first, second)
	}
	wide := feeds()
	wide[0].Dims, wide[0].Bytes = []int64{3, 64}, make([]byte, 3*64*4)
	out, err := r.Run(wide, []string{"y"})
	if err != nil || fmt.Sprint(out[0].Dims) != "[3 64]" || len(out[0].Bytes) != 3*64*4 {
		t.Errorf("a larger run gave %v, %v", out, err)
	}
}

// TestRecyclingAWrongShape runs a model that states another shape than it makes.
func TestRecyclingAWrongShape(t *testing.T) {
	path := model(t)
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph().Output[0] = onnx.ValueInfo("y", onnx.Float32, onnx.Sym("new"), onnx.Fixed(64))
	wrong := filepath.Join(t.TempDir(), "wrong.onnx")
	if err := onnx.Save(m, wrong, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	r := open(t, wrong, Options{}).Recycling()
	for range 2 {
		out, err := r.Run(feeds(), nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, out[0], out[1])
	}
}

func TestInfo(t *testing.T) {
	s := open(t, model(t), Options{})
	if got := fmt.Sprint(s.Inputs()); got != "[{x float [n 64]} {past float16 [1 past 4]} {new float16 [1 new 4]}]" {
		t.Errorf("inputs are %s", got)
	}
	if got := fmt.Sprint(s.Outputs()); got != "[{y float [n 64]} {present float16 [1 past + new 4]}]" {
		t.Errorf("outputs are %s", got)
	}
}

// TestBind runs twice over the same memory, the second time in two steps of a
// cache.
func TestBind(t *testing.T) {
	s := open(t, model(t), Options{})
	in := feeds()
	y, present := zeros("y", onnx.Float32, 2, 64), zeros("present", onnx.Float16, 1, 1, 4)
	b, err := s.Bind(in, []onnx.Tensor{y, present})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
	check(t, y, present)

	in[2].Bytes[1] = 0x40 // 2.0: seen by the next run without binding again
	in[2].Bytes[0] = 0
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
	if v, _ := present.Float32s(); v[0] != 2 || v[1] != 1.5 {
		t.Errorf("the second run gave %v", v)
	}
	if n := testing.AllocsPerRun(100, func() { err = b.Run() }); n != 0 || err != nil {
		t.Errorf("a bound run allocates %g times, %v", n, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if b.Run() == nil {
		t.Error("a closed binding runs")
	}
}

func TestMisfits(t *testing.T) {
	s := open(t, model(t), Options{})
	bad := feeds()
	bad[0].Type = onnx.Int32
	bad[1] = zeros("past", onnx.Float16, 1, 0, 5)
	bad[2].Name = "newest"
	_, err := s.Bind(bad, nil)
	if fault.Exit(err) != 2 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{`input "x" is int32, the model declares float`, `"past" has shape [1 0 5], the model declares [1 past 4]`,
		`input "newest" does not exist; there are x, past, new`, `input "new" is missing`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if _, err := s.Run(feeds(), []string{"z"}); fault.Exit(err) != 2 {
		t.Errorf("an unknown output gave %v", err)
	}
	wrong := zeros("y", onnx.Float32, 3, 64)
	b, err := s.Bind(feeds(), []onnx.Tensor{wrong})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(); fault.Exit(err) != 5 {
		t.Errorf("an output of another shape gave %v", err)
	}
}

func TestOpenBadFiles(t *testing.T) {
	load(t)
	torn := filepath.Join(t.TempDir(), "torn.onnx")
	whole, err := os.ReadFile(model(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(torn, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{torn, "absent.onnx"} {
		if _, err := Open(path, Options{}); fault.Exit(err) != 4 {
			t.Errorf("%s gave %v", path, err)
		}
	}
	if _, err := Open(model(t), Options{Optimize: "extreme"}); fault.Exit(err) != 2 {
		t.Errorf("an unknown level gave %v", err)
	}
}

func TestSaveOptimized(t *testing.T) {
	path := filepath.Join(t.TempDir(), "optimised.onnx")
	for range 2 { // the second time over the files of the first
		open(t, model(t), Options{SaveOptimized: path})
	}
	info, err := os.Stat(path + ".data")
	if err != nil || info.Size() < 4*64*64 || info.Size() > 5*64*64 {
		t.Fatalf("the data file: %v, %v", info, err)
	}
	s := open(t, path, Options{Optimize: OptimizeNone, Threads: 1, Spin: true})
	out, err := s.Run(feeds(), nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, out[0], out[1])
}

func TestFeatures(t *testing.T) {
	got := features("processor : 0\nflags\t\t: fpu avx512_vnni avx2 avx\nflags : none\n")
	if got != "avx avx2 avx512_vnni" {
		t.Errorf("got %q", got)
	}
	if features("") != "unknown" || !slices.Contains(strings.Fields(CPU()+" unknown"), "unknown") {
		t.Error("no features should be unknown")
	}
}
