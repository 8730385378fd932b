package onnx

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/internal/beside"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// SaveOptions say how a model is laid out on disk.
type SaveOptions struct {
	// DataFile is the base name of the file that holds the weights; empty means
	// the model's own with ".data" behind it.
	DataFile string
	// ReuseData writes the graph only and refers to an existing data file that
	// another graph with the same weights in the same order has written. The
	// file is read and compared, byte by byte.
	ReuseData bool
}

// Weights of 1 MiB and more begin on 64 KiB, others on 4 KiB: the alignments
// that ONNX asks for to allow mapping.
const (
	alignSmall = 4 << 10
	alignLarge = 64 << 10
	largeFrom  = 1 << 20
)

// place is where a weight lies in the data file.
type place struct {
	w              *Weight
	offset, length int64
}

// Save writes the graph to path and weights of 1 KiB and more to one file
// beside it, tensor by tensor. Both files are whole or absent: both are on the
// disk before the weights and then the graph get their names, so a graph never
// refers to what is not there. A weight that gives fewer or more bytes than its
// shape needs is an error of class input; so is, with ReuseData, a byte in the
// data file that differs from the weights'.
func Save(m *Model, path string, o SaveOptions) error {
	if o.DataFile == "" {
		o.DataFile = filepath.Base(path) + ".data"
	}
	if o.DataFile != filepath.Base(o.DataFile) || !filepath.IsLocal(o.DataFile) || o.DataFile == filepath.Base(path) {
		return fault.New(fault.Usage, "saving", path, fmt.Sprintf("the weights cannot be named %q", o.DataFile), "give the base name of another file")
	}
	places, err := layout(m)
	if err != nil {
		return err
	}
	p, err := located(m, places, o.DataFile)
	if err != nil {
		return err
	}
	graph, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	data := filepath.Join(filepath.Dir(path), o.DataFile)
	switch {
	case len(places) == 0:
		data = ""
	case o.ReuseData:
		if err := compare(data, places); err != nil {
			return err
		}
		data = ""
	}
	return writeFiles(path, graph, data, places)
}

// writeFiles writes the weights between the graph and its renaming. If that
// fails, weights that were not there before go again.
func writeFiles(path string, graph []byte, data string, places []place) error {
	_, err := os.Lstat(data)
	isNew := data != "" && errors.Is(err, os.ErrNotExist)
	err = fsx.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(graph); err != nil {
			return err
		}
		if data == "" {
			return nil
		}
		return fsx.WriteFile(data, func(w io.Writer) error {
			if f, ok := w.(*os.File); ok && fresh(f) {
				return writeBeside(f, places)
			}
			return writePlaces(w, places)
		})
	})
	if err != nil && isNew {
		_ = os.Remove(data)
	}
	return err
}

// compare holds a data file to the weights. Its size alone would let a graph
// refer to the weights of another checkpoint of the same architecture.
func compare(data string, places []place) error {
	f, err := os.Open(data)
	if err != nil {
		return fsx.Explain("reusing weights", data, err)
	}
	defer func() { _ = f.Close() }()
	c := &comparer{file: f, buf: make([]byte, 1<<20)}
	if err := writePlaces(c, places); err != nil {
		return fault.Wrap(fault.Input, "reusing weights", data, err, "save the model with its weights")
	}
	if n, err := f.Read(c.buf[:1]); n > 0 || !errors.Is(err, io.EOF) {
		return fault.New(fault.Input, "reusing weights", data, "it is longer than these weights", "save the model with its weights")
	}
	return nil
}

// comparer is a writer that accepts what the file already holds.
type comparer struct {
	file io.Reader
	buf  []byte
	at   int64
}

func (c *comparer) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		piece := p[done:min(len(p), done+len(c.buf))]
		if _, err := io.ReadFull(c.file, c.buf[:len(piece)]); err != nil {
			return done, fmt.Errorf("it ends after byte %d: %w", c.at, err)
		}
		if !bytes.Equal(piece, c.buf[:len(piece)]) {
			return done, fmt.Errorf("it holds other weights (near byte %d)", c.at)
		}
		done += len(piece)
		c.at += int64(len(piece))
	}
	return len(p), nil
}

// layout places the weights that go to the data file in the graph's order.
func layout(m *Model) ([]place, error) {
	var places []place
	var size int64
	for _, t := range m.Graph().GetInitializer() {
		w := m.weights[t.GetName()]
		if w == nil || w.Data == nil {
			return nil, fault.New(fault.Input, "saving weight", t.GetName(), "it has no data", "export the model again")
		}
		n := w.Data.Size()
		if n < inline {
			continue
		}
		align := int64(alignSmall)
		if n >= largeFrom {
			align = alignLarge
		}
		offset := (size + align - 1) / align * align
		places = append(places, place{w, offset, n})
		size = offset + n
	}
	return places, nil
}

// writers is how many weights are converted and written at once, at most: those
// that are made on the spot may hold a copy of themselves meanwhile.
const writers = 2

// fresh tells whether a file can be written in any order.
func fresh(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// writeBeside writes weights side by side, the largest first. What lies between
// them is a hole, which reads as zeros.
func writeBeside(f *os.File, places []place) error {
	order := slices.SortedStableFunc(slices.Values(places), func(a, b place) int { return cmp.Compare(b.length, a.length) })
	errs := make([]error, len(order))
	var failed atomic.Bool
	beside.Do(len(order), writers, func(i int) {
		if failed.Load() {
			return
		}
		if errs[i] = order[i].write(io.NewOffsetWriter(f, order[i].offset), make([]byte, writeBuffer)); errs[i] != nil {
			failed.Store(true)
		}
	})
	for _, err := range errs { // one is enough: of a full disk all say the same
		if err != nil {
			return err
		}
	}
	return nil
}

const writeBuffer = 1 << 20

// write writes the weight's bytes.
func (p place) write(out io.Writer, buf []byte) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, p.w.Data.Reader(), buf)
	if err != nil {
		return fmt.Errorf("writing weight %q: %w", p.w.Name, err)
	}
	if n != p.length {
		return fault.New(fault.Input, "writing weight", p.w.Name, fmt.Sprintf("it gave %d bytes, its shape needs %d", n, p.length), "check the checkpoint")
	}
	return nil
}

func writePlaces(out io.Writer, places []place) error {
	at := int64(0)
	pad := make([]byte, alignLarge)
	buf := make([]byte, writeBuffer)
	for _, p := range places {
		if _, err := out.Write(pad[:p.offset-at]); err != nil {
			return err
		}
		if err := p.write(out, buf); err != nil {
			return err
		}
		at = p.offset + p.length
	}
	return nil
}

// located is the model's proto with every weight's bytes or the place of them.
func located(m *Model, places []place, file string) (*onnxpb.ModelProto, error) {
	at := make(map[string]place, len(places))
	for _, p := range places {
		at[p.w.Name] = p
	}
	out := proto.Clone(m.Proto).(*onnxpb.ModelProto)
	for _, t := range out.GetGraph().GetInitializer() {
		p, external := at[t.GetName()]
		if w := m.weights[t.GetName()]; !external && w.Type == String {
			continue
		}
		if !external {
			b, err := m.weights[t.GetName()].Bytes()
			if err != nil {
				return nil, err
			}
			t.RawData = b
			continue
		}
		refer(t, file, p.offset, p.length)
	}
	return out, nil
}

// Size is the bytes of all weights together.
func (m *Model) Size() int64 {
	var n int64
	for _, w := range m.weights {
		n += w.Data.Size()
	}
	return n
}

// DataFiles are the paths of the files beside the one that the model was loaded
// from which hold its weights.
func (m *Model) DataFiles() (paths []string) {
	for i, c := range m.files {
		if f, ok := c.(*os.File); ok && i > 0 {
			paths = append(paths, f.Name())
		}
	}
	slices.Sort(paths)
	return paths
}

// External is the bytes of the weights that lie in files beside the one that the
// model was loaded from.
func (m *Model) External() int64 {
	var n int64
	for _, w := range m.weights {
		if s, ok := w.Data.(Segment); ok && len(m.files) > 0 && any(s.File) != any(m.files[0]) {
			n += s.Length
		}
	}
	return n
}
