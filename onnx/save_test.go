package onnx

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// sample is y = x w + b with weights of every storage class.
func sample() *Model {
	m := New("g")
	w := make([]float32, 600*600) // 1.4 MB, aligned to 64 KiB
	for i := range w {
		w[i] = float32(i)
	}
	m.SetWeight(Floats("w", []int64{600, 600}, w...))
	m.SetWeight(Floats("b", []int64{600}, w[:600]...))
	m.SetWeight(Ints("shape", []int64{2}, -1, 600))
	g := m.Graph()
	g.Input = append(g.Input, ValueInfo("x", Float32, Sym("n"), Fixed(600)))
	g.Output = append(g.Output, ValueInfo("y", Float32, Sym("n"), Fixed(600)))
	g.Node = append(g.Node,
		Node("MatMul", "mm", []string{"x", "w"}, []string{"t"}),
		Node("Add", "add", []string{"t", "b"}, []string{"u"}),
		Node("Reshape", "reshape", []string{"u", "shape"}, []string{"y"}, "allowzero", 0))
	return m
}

// Weights are aligned as ONNX asks for, and read from the file later.
func TestLayout(t *testing.T) {
	m := read(t, save(t, sample(), SaveOptions{DataFile: "weights"}))
	w, ok := m.Weight("w").Data.(Segment)
	b, ok2 := m.Weight("b").Data.(Segment)
	if !ok || !ok2 || w.Offset%alignLarge != 0 || b.Offset%alignSmall != 0 || b.Offset < w.Length {
		t.Errorf("w is %+v, b is %+v", m.Weight("w").Data, m.Weight("b").Data)
	}
	if _, small := m.Weight("shape").Data.(Memory); !small || m.Size() != 600*600*4+600*4+16 {
		t.Errorf("shape is %T, %d bytes altogether", m.Weight("shape").Data, m.Size())
	}
	if err := Check(m); err != nil {
		t.Error(err)
	}
}

// A data file is shared only with the weights that it holds.
func TestReuseData(t *testing.T) {
	path := save(t, sample(), SaveOptions{DataFile: "weights"})
	dir := filepath.Dir(path)
	second := filepath.Join(dir, "second.onnx")
	o := SaveOptions{DataFile: "weights", ReuseData: true}
	if err := Save(sample(), second, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(second + ".data"); err == nil {
		t.Error("a second data file was written")
	}
	a, err := read(t, path).Digest()
	b, err2 := read(t, second).Digest()
	if a != b || err != nil || err2 != nil {
		t.Errorf("digests %s and %s, %v, %v", a, b, err, err2)
	}
	for name, change := range map[string]func(m *Model){
		"another value":   func(m *Model) { m.SetWeight(Floats("b", []int64{600}, make([]float32, 600)...)) },
		"another order":   func(m *Model) { i := m.Graph().Initializer; i[0], i[1] = i[1], i[0] },
		"one weight less": func(m *Model) { m.Graph().Initializer = m.Graph().Initializer[:1] },
		"one weight more": func(m *Model) { m.SetWeight(Floats("c", []int64{600}, make([]float32, 600)...)) },
	} {
		t.Run(name, func(t *testing.T) {
			m, path := sample(), filepath.Join(dir, "other.onnx")
			change(m)
			if err := Save(m, path, o); fault.Classify(err) != fault.Input {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the graph was written")
			}
		})
	}
	if err := Save(sample(), second, SaveOptions{DataFile: "absent", ReuseData: true}); fault.Classify(err) != fault.Input {
		t.Errorf("got %v", err)
	}
}

// Whatever fails while the weights are written, nothing is left.
func TestSaveLeavesNothing(t *testing.T) {
	fill := func(n int, err error) Data {
		return Generated{Length: 4096, Write: func(w io.Writer) error {
			_, e := w.Write(make([]byte, n))
			return errors.Join(e, err)
		}}
	}
	for name, c := range map[string]struct {
		data Data
		code fault.Code
		want string
	}{
		"full disk": {fill(100, syscall.ENOSPC), fault.Runtime, "no space left"},
		"too short": {fill(4092, nil), fault.Input, "4092 bytes, its shape needs 4096"},
		"too long":  {fill(4100, nil), fault.Input, "4100 bytes, its shape needs 4096"},
		"no data":   {nil, fault.Input, "no data"},
	} {
		t.Run(name, func(t *testing.T) {
			m, dir := sample(), t.TempDir()
			m.SetWeight(&Weight{Name: "c", Type: Float32, Dims: []int64{1024}, Data: c.data})
			err := Save(m, filepath.Join(dir, "m.onnx"), SaveOptions{})
			if fault.Classify(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v are left, %v", left, err)
			}
		})
	}
	// The graph's place is taken: the weights go again.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "m.onnx", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Save(sample(), filepath.Join(dir, "m.onnx"), SaveOptions{}); err == nil {
		t.Error("a folder was replaced")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v are left, %v", left, err)
	}
	for _, name := range []string{"../x", "a/b", "m.onnx", ".."} {
		if err := Save(sample(), filepath.Join(dir, "m.onnx"), SaveOptions{DataFile: name}); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A model may be saved over itself: it goes on reading the file it was loaded from.
func TestSaveOverItself(t *testing.T) {
	path := save(t, sample(), SaveOptions{})
	m := read(t, path)
	want, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(m, path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, path).Digest(); got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// An early end of reading does not leave the writer behind.
func TestGeneratedReaderEnds(t *testing.T) {
	ended := make(chan error, 1)
	w := &Weight{Name: "w", Type: Float32, Dims: []int64{1 << 20}, Data: Generated{Length: 4 << 20, Write: func(w io.Writer) error {
		_, err := w.Write(make([]byte, 4<<20))
		ended <- err
		return err
	}}}
	stop := errors.New("enough")
	if err := w.Each(func(int64, []float32) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("all was written")
	}
}

func digest(t *testing.T, m *Model) string {
	t.Helper()
	d, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The fixtures raw and external differ in everything that says nothing about
// what is computed: storage, file names, order of weights, prose, producer.
func TestDigestInvariance(t *testing.T) {
	raw := digest(t, read(t, filepath.Join("testdata", "raw.onnx")))
	if other := digest(t, read(t, filepath.Join("testdata", "external.onnx"))); raw != other {
		t.Errorf("raw %s, external %s", raw, other)
	}
	// The fields of the file in another order: the graph first.
	b, err := os.ReadFile(filepath.Join("testdata", "raw.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(b, p); err != nil {
		t.Fatal(err)
	}
	graph := &onnxpb.ModelProto{Graph: p.Graph}
	p.Graph = nil
	first, err := proto.Marshal(graph)
	rest, err2 := proto.Marshal(p)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	writeBytes(t, path, append(first, rest...))
	if other := digest(t, read(t, path)); raw != other {
		t.Errorf("raw %s, reordered %s", raw, other)
	}
}

func TestDigestSensitivity(t *testing.T) {
	seen := map[string]string{digest(t, sample()): "nothing"}
	for name, change := range map[string]func(m *Model){
		"a bit": func(m *Model) {
			b, _ := m.Weight("b").Bytes()
			b[77] ^= 1
			m.SetWeight(&Weight{Name: "b", Type: Float32, Dims: []int64{600}, Data: Memory(b)})
		},
		"a type":        func(m *Model) { m.Weight("b").Type = Int32 },
		"a header":      func(m *Model) { m.Graph().Initializer[1].DataType = int32(Int32) },
		"a shape":       func(m *Model) { m.Weight("b").Dims = []int64{1, 600} },
		"an attribute":  func(m *Model) { m.Graph().Node[2].Attribute[0].I = 1 },
		"an input":      func(m *Model) { m.Graph().Node[1].Input[0] = "x" },
		"inputs' order": func(m *Model) { in := m.Graph().Node[1].Input; in[0], in[1] = in[1], in[0] },
		"nodes' order":  func(m *Model) { n := m.Graph().Node; n[0], n[1] = n[1], n[0] },
		"an operator":   func(m *Model) { m.Graph().Node[1].OpType = "Sub" },
		"the opset":     func(m *Model) { m.Proto.OpsetImport[0].Version = 20 },
		"a dimension":   func(m *Model) { m.Graph().Input[0] = ValueInfo("x", Float32, Sym("k"), Fixed(600)) },
		"metadata": func(m *Model) {
			m.Proto.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: "trtforge.logits", Value: "last"}}
		},
	} {
		m := sample()
		change(m)
		d := digest(t, m)
		if same, known := seen[d]; known {
			t.Errorf("%s changes as little as %s", name, same)
		}
		seen[d] = name
	}
}

// Every violation is reported, all at once.
func TestCheckReportsAll(t *testing.T) {
	m := sample()
	g := m.Graph()
	m.Proto.OpsetImport, m.Proto.IrVersion = nil, 0
	m.SetWeight(&Weight{Name: "short", Type: Float32, Dims: []int64{3}, Data: Memory(make([]byte, 8))})
	g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: "bare", DataType: 1}, &onnxpb.TensorProto{})
	g.Input = append(g.Input, &onnxpb.ValueInfoProto{Name: "vague"}, ValueInfo("w2", Float32), ValueInfo("w2", Float32))
	g.Output = append(g.Output, ValueInfo("nowhere", Float32), ValueInfo("", Float32))
	inner := &onnxpb.GraphProto{Name: "inner",
		Node:   []*onnxpb.NodeProto{Node("Add", "deep", []string{"t", "unheard"}, []string{"z"})},
		Output: []*onnxpb.ValueInfoProto{ValueInfo("unmade", Float32)}}
	branch := Node("If", "if", []string{"x"}, []string{"i"})
	branch.Attribute = append(branch.Attribute, &onnxpb.AttributeProto{Name: "then_branch", G: inner})
	foreign := Node("Attention", "foreign", []string{"x"}, []string{"f"})
	foreign.Domain = "com.microsoft"
	g.Node = append(g.Node, Node("Add", "late", []string{"later", "x"}, []string{"t"}),
		Node("Neg", "", []string{"x"}, []string{"later"}), Node("", "blank", nil, []string{"k"}), branch, foreign)
	err := Check(m)
	if fault.Classify(err) != fault.Input {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"no default operator set", "no IR version", `weight "short": shape [3] of float needs 12 bytes, the file has 8`,
		`weight "bare" has no data`, "weight number 5 has no name", `input "vague" has no type`, `input "w2": the name is taken`,
		`output "nowhere": no node makes it`, `output "": no node`, `node late: input "later" is not made before it`,
		`node late: output "t": the name is taken`, "node blank has no operator", `node deep: input "unheard"`,
		`output "unmade": no node makes it`, `Attention is of domain "com.microsoft"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 15 {
		t.Errorf("%d violations: %v", n, err)
	}
}
