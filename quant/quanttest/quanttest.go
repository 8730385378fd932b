// Package quanttest is what the tests of quant and its rooms share: judges from
// outside, run as Python scripts (quant/testdata), and models to judge. Only tests
// import it.
package quanttest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Oracle runs quant/testdata/oracle.py and returns its lines.
func Oracle(t testing.TB, args ...string) [][]byte {
	t.Helper()
	return Script(t, testenv.Python(t, "oracle"), "oracle.py", args...)
}

// Script runs a file of quant/testdata and returns its lines.
func Script(t testing.TB, python, file string, args ...string) [][]byte {
	t.Helper()
	path := filepath.Join(testenv.Root(t), "quant", "testdata", file)
	cmd := exec.Command(python, append([]string{path}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", file, args, err, stderr.Bytes())
	}
	return bytes.Split(bytes.TrimSpace(out), []byte("\n"))
}

// Decode reads a line of JSON.
func Decode[T any](t testing.TB, line []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

// GPT2 is a small random GPT-2 of our own export.
func GPT2(t testing.TB) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 97, Positions: 64, Std: 0.1}, 1); err != nil {
		t.Fatal(err)
	}
	return Opened(t)(export.GPT2(dir, export.Options{}))
}

// Quantized is a graph that is quantized already.
func Quantized() *onnx.Model {
	m := onnx.New("g")
	m.SetWeight(onnx.Floats("scale", nil, 0.1))
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Fixed(2)))
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Uint8, onnx.Fixed(2)))
	g.Node = []*onnxpb.NodeProto{onnx.Node("QuantizeLinear", "q", []string{"x", "scale"}, []string{"y"})}
	return m
}

// Opened closes a model at the end of the test.
func Opened(t testing.TB) func(*onnx.Model, error) *onnx.Model {
	return func(m *onnx.Model, err error) *onnx.Model {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
}

// Saved writes m below dir and returns the path.
func Saved(t testing.TB, m *onnx.Model, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// Observed is the table that ONNX Runtime and numpy make of these tensors, on
// random ids or on those in a file.
func Observed(t testing.TB, m *onnx.Model, observe []string, ids ...string) *calib.Table {
	t.Helper()
	cut, err := calib.Cut(m, observe)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "ranges.json")
	Oracle(t, append([]string{"ranges", Saved(t, cut, dir, "cut"), out}, ids...)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return &calib.Table{Ranges: Decode[map[string]calib.Range](t, b)}
}

// Raw is values as they stand in a file.
func Raw(values []float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// Rounding is what the oracle says of a graph beside its float32 original.
type Rounding struct {
	RMS    []float64
	Finite bool
	First  string // value that is not finite
}
