package onnx

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// refused loads what must be an error of class input that says want.
func refused(t *testing.T, path, want string) {
	t.Helper()
	m, err := Load(path)
	if err == nil {
		_ = m.Close()
	}
	if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want a fault of the input with %q", err, want)
	}
}

// write writes a model as it is, weights included.
func write(t *testing.T, path string, p *onnxpb.ModelProto) {
	t.Helper()
	b, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	writeBytes(t, path, b)
}

func writeBytes(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func withTensors(tensors ...*onnxpb.TensorProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{IrVersion: 10, Graph: &onnxpb.GraphProto{Initializer: tensors}}
}

// external is a weight of four floats in another file.
func external(pairs ...string) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{Name: "w", DataType: int32(Float32), Dims: []int64{4}, DataLocation: onnxpb.TensorProto_EXTERNAL}
	for i := 0; i < len(pairs); i += 2 {
		t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: pairs[i], Value: pairs[i+1]})
	}
	return t
}

func TestHostileExternalData(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "model")
	for _, err := range []error{
		os.Mkdir(dir, 0o700),
		os.Mkdir(filepath.Join(dir, "sub"), 0o700),
		os.Symlink(filepath.Join("..", "secret"), filepath.Join(dir, "link")),
		os.Symlink(outer, filepath.Join(dir, "up")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	writeBytes(t, filepath.Join(outer, "secret"), make([]byte, 16))
	writeBytes(t, filepath.Join(dir, "data"), make([]byte, 24))
	for name, c := range map[string]struct {
		pairs []string
		want  string
	}{
		"parent":          {[]string{"location", "../secret"}, "leaves the model's directory"},
		"hidden parent":   {[]string{"location", "sub/../../secret"}, "leaves the model's directory"},
		"absolute":        {[]string{"location", filepath.Join(dir, "data")}, "leaves the model's directory"},
		"symbolic link":   {[]string{"location", "link"}, "escapes"},
		"linked folder":   {[]string{"location", "up/secret"}, "escapes"},
		"pipe":            {[]string{"location", "pipe"}, "not a regular file"},
		"folder":          {[]string{"location", "sub"}, "not a regular file"},
		"none":            {[]string{"offset", "0"}, "no location"},
		"absent":          {[]string{"location", "absent"}, "no such file"},
		"too short":       {[]string{"location", "data", "offset", "12", "length", "16"}, "16 bytes from 12 of a file of 24"},
		"wrong length":    {[]string{"location", "data", "length", "12"}, "needs 16 bytes, the file has 12"},
		"no length":       {[]string{"location", "data"}, "needs 16 bytes, the file has 24"},
		"behind the end":  {[]string{"location", "data", "offset", "25"}, "from 25 of a file of 24"},
		"overflow":        {[]string{"location", "data", "offset", "9223372036854775807", "length", "9223372036854775807"}, "of a file of 24"},
		"too large":       {[]string{"location", "data", "offset", "9223372036854775808"}, "out of range"},
		"negative offset": {[]string{"location", "data", "offset", "-8", "length", "16"}, "negative"},
		"negative length": {[]string{"location", "data", "length", "-1"}, "negative"},
		"no number":       {[]string{"location", "data", "length", "0x10"}, "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "m.onnx")
			write(t, path, withTensors(external(c.pairs...)))
			refused(t, path, c.want)
			// The same inside a subgraph.
			inner := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{external(c.pairs...)}}
			write(t, path, &onnxpb.ModelProto{Graph: &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{
				{Attribute: []*onnxpb.AttributeProto{{Name: "body", G: inner}}},
			}}})
			refused(t, path, c.want)
		})
	}
}

func TestHostileTensors(t *testing.T) {
	f32 := func(x *onnxpb.TensorProto) *onnxpb.TensorProto { x.DataType = int32(Float32); return x }
	big := make([]byte, 2*inline)
	for name, c := range map[string]struct {
		tensors []*onnxpb.TensorProto
		want    string
	}{
		"negative":   {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", Dims: []int64{-1}})}, "negative"},
		"huge":       {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", Dims: []int64{1 << 40, 1 << 40}})}, "more elements"},
		"overflow":   {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", Dims: []int64{1 << 61}})}, "does not fit"},
		"absent":     {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", Dims: []int64{2}})}, "needs 8 bytes, the file has 0"},
		"too long":   {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", RawData: big})}, "needs 4 bytes, the file has 2048"},
		"no type":    {[]*onnxpb.TensorProto{{Name: "w", RawData: big}}, "no fixed width"},
		"no name":    {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{RawData: big[:4]})}, "number 0 has no name"},
		"raw, typed": {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", RawData: big[:4], FloatData: []float32{1}})}, "two places"},
		"big, typed": {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{Name: "w", RawData: big, FloatData: []float32{1}})}, "two places"},
		"raw, external": {[]*onnxpb.TensorProto{f32(&onnxpb.TensorProto{
			Name: "w", RawData: big, DataLocation: onnxpb.TensorProto_EXTERNAL,
		})}, "two places"},
		"raw strings": {[]*onnxpb.TensorProto{{Name: "w", DataType: int32(onnxpb.TensorProto_STRING), RawData: big[:4]}}, "strings"},
		"same name": {[]*onnxpb.TensorProto{
			f32(&onnxpb.TensorProto{Name: "w", RawData: big[:4]}), f32(&onnxpb.TensorProto{Name: "w", RawData: big[:4]}),
		}, "taken"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.onnx")
			write(t, path, withTensors(c.tensors...))
			refused(t, path, c.want)
		})
	}
}

// A prefix of a model is never a model, except where it ends with a field of
// the outermost message: then something is missing that the graph needs.
func TestTruncatedFiles(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "raw.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	for n := range whole {
		writeBytes(t, path, whole[:n])
		m, err := Load(path)
		if err == nil {
			err = Check(m)
			_ = m.Close()
		}
		if fault.Classify(err) != fault.Input {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestNoModels(t *testing.T) {
	dir := t.TempDir()
	deep := &onnxpb.GraphProto{Name: "leaf"}
	for range 2 * maxNested {
		deep = &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{Attribute: []*onnxpb.AttributeProto{{G: deep}}}}}
	}
	nested, err := proto.Marshal(&onnxpb.ModelProto{Graph: deep})
	if err != nil {
		t.Fatal(err)
	}
	twice := protowire.AppendTag(nil, fieldRawData, protowire.BytesType)
	twice = protowire.AppendBytes(twice, make([]byte, inline))
	graph := protowire.AppendTag(nil, fieldInitializer, protowire.BytesType)
	graph = protowire.AppendBytes(graph, append(twice, twice...))
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":         {nil, "no graph"},
		"text":          {[]byte("version https://git-lfs.github.com/spec/v1\n"), "not an ONNX model"},
		"zeros":         {make([]byte, 100), "not an ONNX model"},
		"nested":        {nested, "subgraphs inside each other"},
		"raw twice":     {graphOnly(graph), "raw data twice"},
		"million parts": {graphOnly(bytes.Repeat([]byte{0x0a, 0}, maxMessages)), "parts"},
		"million names": {graphOnly(protowire.AppendBytes([]byte{0x0a}, bytes.Repeat([]byte{0x12, 0}, maxFields+1))), "fields"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "m.onnx")
			writeBytes(t, path, c.content)
			refused(t, path, c.want)
		})
	}
	refused(t, dir, "not a regular file")
	refused(t, filepath.Join(dir, "absent"), "no such file")
}

// graphOnly is a model with that graph.
func graphOnly(graph []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, fieldGraph, protowire.BytesType), graph)
}

// A graph that claims to be larger than any is refused before it is read.
func TestHugeGraph(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	head := protowire.AppendVarint(protowire.AppendTag(nil, fieldGraph, protowire.BytesType), 1<<40)
	head = protowire.AppendVarint(protowire.AppendTag(head, 10, protowire.BytesType), 1<<39)
	writeBytes(t, path, head)
	if err := os.Truncate(path, 1<<40+int64(len(head))); err != nil {
		t.Skipf("the file system has no sparse files of that size: %v", err)
	}
	if used := allocated(func() { refused(t, path, "larger than") }); used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// Weights stay on the disk, in the file itself and beside it.
func TestLoadTakesNoMemoryForWeights(t *testing.T) {
	const size = 2 << 30
	dir := t.TempDir()
	for name, prepare := range map[string]func(path string){
		"external": func(path string) {
			x := external("location", "data")
			x.Dims = []int64{size / 4}
			write(t, path, withTensors(x))
			writeBytes(t, filepath.Join(dir, "data"), nil)
			if err := os.Truncate(filepath.Join(dir, "data"), size); err != nil {
				t.Fatal(err)
			}
		},
		"inside": func(path string) {
			x, err := proto.Marshal(&onnxpb.TensorProto{Name: "w", DataType: int32(Float32), Dims: []int64{size / 4}})
			if err != nil {
				t.Fatal(err)
			}
			x = protowire.AppendVarint(protowire.AppendTag(x, fieldRawData, protowire.BytesType), size)
			g := protowire.AppendVarint(protowire.AppendTag(nil, fieldInitializer, protowire.BytesType), uint64(len(x))+size)
			g = append(g, x...)
			b := protowire.AppendVarint(protowire.AppendTag(nil, fieldGraph, protowire.BytesType), uint64(len(g))+size)
			b = append(b, g...)
			writeBytes(t, path, b)
			if err := os.Truncate(path, int64(len(b))+size); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name+".onnx")
			prepare(path)
			used := allocated(func() {
				if n := read(t, path).Size(); n != size {
					t.Errorf("%d bytes of weights", n)
				}
			})
			if used > 1<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

// allocated is the bytes that f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzLoad(f *testing.F) {
	for _, name := range fixtures {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		writeBytes(t, filepath.Join(dir, "weights.bin"), make([]byte, 2000))
		path := filepath.Join(dir, "m.onnx")
		writeBytes(t, path, b)
		m, err := Load(path)
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Fatalf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		defer func() { _ = m.Close() }()
		_ = Check(m)
		if _, err := m.Digest(); err != nil {
			t.Fatal(err)
		}
		// What Save would write, without the disk's syncing.
		places, err := layout(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := writePlaces(io.Discard, places); err != nil {
			t.Fatal(err)
		}
		if _, err := located(m, places, "data"); err != nil {
			t.Fatal(err)
		}
	})
}
