package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// externals opens the data files beside a model, each once. os.Root keeps
// every path, symbolic links included, inside the model's directory.
type externals struct {
	dir    string
	root   *os.Root
	opened map[string]*os.File
}

func newExternals(dir string) *externals {
	return &externals{dir: dir, opened: map[string]*os.File{}}
}

// open is the segment that a tensor's external_data name: location, offset
// (default 0) and length (default up to the end).
func (e *externals) open(entries []*onnxpb.StringStringEntryProto) (Data, error) {
	var location string
	offset, length := int64(0), int64(-1)
	for _, kv := range entries {
		var err error
		switch kv.GetKey() {
		case "location":
			location = kv.GetValue()
		case "offset":
			offset, err = number(kv.GetValue())
		case "length":
			length, err = number(kv.GetValue())
		}
		if err != nil {
			return nil, fmt.Errorf("external data %s: %w", kv.GetKey(), err)
		}
	}
	f, err := e.file(location)
	if err != nil {
		return nil, fmt.Errorf("external data %q: %w", location, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = max(0, info.Size()-offset)
	}
	if offset > info.Size() || length > info.Size()-offset {
		return nil, fmt.Errorf("external data %q: %d bytes from %d of a file of %d", location, length, offset, info.Size())
	}
	return Segment{File: f, Offset: offset, Length: length}, nil
}

func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && n < 0 {
		err = errors.New("negative")
	}
	return n, err
}

// file is the open data file of that name. A pipe is refused before it is
// opened, which would wait for its writer.
func (e *externals) file(location string) (*os.File, error) {
	if location == "" {
		return nil, errors.New("no location is given")
	}
	location = filepath.Clean(filepath.FromSlash(location))
	if f := e.opened[location]; f != nil {
		return f, nil
	}
	if !filepath.IsLocal(location) {
		return nil, errors.New("the path leaves the model's directory")
	}
	if e.root == nil {
		var err error
		if e.root, err = os.OpenRoot(e.dir); err != nil {
			return nil, err
		}
	}
	info, err := e.root.Stat(location)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := e.root.Open(location)
	if err != nil {
		return nil, err
	}
	e.opened[location] = f
	return f, nil
}

// maxConstants is the external data that attributes and subgraphs may have:
// they are held in memory.
const maxConstants = 64 << 20

// internalise reads the external data of tensors that are no weights of the
// main graph, so that a model saved elsewhere does not lose them.
func (e *externals) internalise(m *onnxpb.ModelProto) error {
	left := int64(maxConstants)
	return errors.Join(
		e.nodes(m.GetGraph().GetNode(), &left),
		e.each(m.GetFunctions(), &left),
	)
}

func (e *externals) each(functions []*onnxpb.FunctionProto, left *int64) error {
	var errs []error
	for _, f := range functions {
		errs = append(errs, e.nodes(f.GetNode(), left))
	}
	return errors.Join(errs...)
}

func (e *externals) nodes(nodes []*onnxpb.NodeProto, left *int64) error {
	var errs []error
	for _, n := range nodes {
		for _, a := range n.GetAttribute() {
			tensors := a.GetTensors()
			if a.GetT() != nil {
				tensors = append(tensors[:len(tensors):len(tensors)], a.GetT())
			}
			for _, g := range subgraphs(a) {
				tensors = append(tensors[:len(tensors):len(tensors)], g.GetInitializer()...)
				errs = append(errs, e.nodes(g.GetNode(), left))
			}
			for _, t := range tensors {
				if err := e.inside(t, left); err != nil {
					errs = append(errs, fmt.Errorf("node %q: tensor %q: %w", n.GetName(), t.GetName(), err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// inside moves a tensor's external data into it.
func (e *externals) inside(t *onnxpb.TensorProto, left *int64) error {
	if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
		return nil
	}
	data, err := payload(t, Segment{}, e)
	if err != nil {
		return err
	}
	w := &Weight{Name: t.GetName(), Type: DType(t.GetDataType()), Dims: t.GetDims(), Data: data}
	if err := fits(w, data); err != nil {
		return err
	}
	if *left -= data.Size(); *left < 0 {
		return fmt.Errorf("external data of constants are more than %d bytes", maxConstants)
	}
	b, err := w.Bytes()
	strip(t)
	t.RawData = b
	return err
}

// files are to be closed when the weights are no longer read.
func (e *externals) files() []io.Closer {
	var all []io.Closer
	for _, f := range e.opened {
		all = append(all, f)
	}
	if e.root != nil {
		all = append(all, e.root)
	}
	return all
}
