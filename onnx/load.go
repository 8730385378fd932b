package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Limits on an untrusted file.
const (
	maxGraph    = 256 << 20 // bytes of a graph without its weights
	maxMessages = 2 << 20   // parts of a graph: two bytes of a file become a struct of hundreds
	maxFields   = 8 << 20   // names and numbers of a graph, 16 bytes and more each
	maxNested   = 64        // subgraphs inside subgraphs
	inline      = 1 << 10   // bytes from which a weight is left in the file
)

// Load reads a model without its weights' bytes. External data are followed
// inside the model's own directory only. Everything that is wrong with the
// file's structure is an error of class input.
func Load(path string) (*Model, error) { return LoadFrom(path, "") }

// LoadFrom is Load of a graph whose external data lie in another directory than its
// own, as [Refer] leaves them; "" is its own.
func LoadFrom(path, dir string) (_ *Model, err error) {
	if dir == "" {
		dir = filepath.Dir(path)
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, fault.Wrap(fault.Input, "loading", path, err, "check the path")
	}
	m := &Model{weights: map[string]*Weight{}, files: []io.Closer{f}}
	defer func() {
		if err != nil {
			_ = m.Close()
			err = fault.Wrap(fault.Input, "loading", path, err, "export the model again")
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	w := &walker{file: f, end: info.Size()}
	graph, err := w.message(info.Size(), fieldGraph)
	if err != nil {
		return nil, err
	}
	if m.Proto, err = decode(graph); err != nil {
		return nil, err
	}
	if m.Proto.Graph == nil {
		return nil, errors.New("not an ONNX model: it has no graph")
	}
	return m, m.adopt(dir, w.payloads)
}

// openRegular opens a file without waiting for the writer of a pipe.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return os.Open(path)
}

var errNotRegular = errors.New("not a regular file")

// decode parses a model within the limits.
func decode(graph []byte) (*onnxpb.ModelProto, error) {
	p := &onnxpb.ModelProto{}
	n := &census{left: maxMessages, fields: maxFields}
	if err := n.count(graph, p.ProtoReflect().Descriptor(), 3*maxNested); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(graph, p); err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	return p, nil
}

// adopt turns the graph's initializers into weights. payloads[i] is where the
// raw data of initializer i stand in the file, of length 0 where they do not.
func (m *Model) adopt(dir string, payloads []Segment) error {
	ext := newExternals(dir)
	var errs []error
	for i, t := range m.Proto.Graph.Initializer {
		w := &Weight{Name: t.GetName(), Type: DType(t.GetDataType()), Dims: t.GetDims()}
		if w.Name == "" {
			errs = append(errs, fmt.Errorf("weight number %d has no name", i))
			continue
		}
		data, err := payload(t, payloads[i], ext)
		if err == nil {
			w.Data, err = data, fits(w, data)
		}
		if err == nil && m.weights[w.Name] != nil {
			err = errors.New("the name is taken by another weight")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("weight %q: %w", w.Name, err))
			continue
		}
		m.weights[w.Name] = w
		strip(t)
	}
	errs = append(errs, ext.internalise(m.Proto))
	m.files = append(m.files, ext.files()...)
	return errors.Join(errs...)
}

// payload is where a tensor's bytes are.
func payload(t *onnxpb.TensorProto, raw Segment, ext *externals) (Data, error) {
	inside, err := typed(t)
	switch {
	case err != nil:
		return nil, err
	case raw.Length > 0 && inside.Size() > 0:
		return nil, errTwice
	case t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL && raw.Length > 0:
		return raw, nil
	case t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL:
		return inside, nil
	case raw.Length > 0 || inside.Size() > 0:
		return nil, errTwice
	}
	return ext.open(t.GetExternalData())
}

var errTwice = errors.New("it has data in two places")

// fits holds a weight's data to its shape.
func fits(w *Weight, d Data) error {
	if w.Type == String {
		return nil // the strings stay in the graph
	}
	want, err := w.Type.Bytes(w.Dims)
	if err != nil {
		return err
	}
	if d.Size() != want {
		return fmt.Errorf("shape %v of %s needs %d bytes, the file has %d", w.Dims, w.Type, want, d.Size())
	}
	return nil
}

// strip leaves name, type and shape.
func strip(t *onnxpb.TensorProto) {
	t.RawData, t.FloatData, t.Int32Data, t.Int64Data, t.DoubleData, t.Uint64Data = nil, nil, nil, nil, nil, nil
	t.ExternalData, t.DataLocation = nil, onnxpb.TensorProto_DEFAULT
}

// Constant is the tensor of a Constant node, or of a subgraph, as a weight; one
// whose bytes stand in another file has no Data.
func Constant(t *onnxpb.TensorProto) (*Weight, error) {
	w := &Weight{Name: t.GetName(), Type: DType(t.GetDataType()), Dims: t.GetDims()}
	data, err := typed(t)
	if err != nil {
		return nil, err
	}
	if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
		w.Data = data
	}
	_, err = Elements(w.Dims)
	return w, err
}

// typed normalises the typed lists of a tensor to little-endian bytes.
// Narrow types share int32_data, one element a value (onnx.proto3).
func typed(t *onnxpb.TensorProto) (Data, error) {
	le := binary.LittleEndian
	var b []byte
	switch DType(t.GetDataType()) {
	case Float32, DType(onnxpb.TensorProto_COMPLEX64):
		for _, v := range t.FloatData {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	case Float64, DType(onnxpb.TensorProto_COMPLEX128):
		for _, v := range t.DoubleData {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	case Int64:
		for _, v := range t.Int64Data {
			b = le.AppendUint64(b, uint64(v))
		}
	case DType(onnxpb.TensorProto_UINT64), DType(onnxpb.TensorProto_UINT32):
		for _, v := range t.Uint64Data {
			b = le.AppendUint64(b, v)
		}
		if t.GetDataType() == int32(onnxpb.TensorProto_UINT32) {
			b = narrow(b, 8, 4)
		}
	case String:
		if len(t.RawData) > 0 {
			return nil, errors.New("strings cannot be raw data")
		}
	default:
		width := int(DType(t.GetDataType()).Bits()+7) / 8
		for _, v := range t.Int32Data {
			b = le.AppendUint32(b, uint32(v))
		}
		b = narrow(b, 4, width)
	}
	if len(t.RawData) > 0 {
		if b != nil {
			return nil, errTwice
		}
		b = t.RawData
	}
	return Memory(b), nil
}

// narrow keeps the low bytes of each element.
func narrow(b []byte, from, to int) []byte {
	out := b[:0]
	for i := 0; i+from <= len(b); i += from {
		out = append(out, b[i:i+to]...)
	}
	return out
}
