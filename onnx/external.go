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

func newExternals(model string) *externals {
	return &externals{dir: filepath.Dir(model), opened: map[string]*os.File{}}
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
		return nil, fmt.Errorf("external data %q: bytes %d to %d of a file of %d", location, offset, offset+length, info.Size())
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

func (e *externals) file(location string) (*os.File, error) {
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
	f, err := e.root.Open(location)
	if err != nil {
		return nil, err
	}
	e.opened[location] = f
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	return f, nil
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
