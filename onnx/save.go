package onnx

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

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
	// another graph with the same weights in the same order has written.
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
// beside it, tensor by tensor. Both files are whole or absent; the weights come
// first, so a graph never refers to what is not there. A weight that gives
// fewer or more bytes than its shape needs is an error of class input.
func Save(m *Model, path string, o SaveOptions) error {
	if o.DataFile == "" {
		o.DataFile = filepath.Base(path) + ".data"
	}
	places, size := layout(m)
	data := filepath.Join(filepath.Dir(path), o.DataFile)
	switch {
	case o.ReuseData:
		info, err := os.Stat(data)
		if err != nil {
			return fsx.Explain("reusing weights", data, err)
		}
		if info.Size() != size {
			return fault.New(fault.Input, "reusing weights", data, fmt.Sprintf("it has %d bytes, these weights need %d", info.Size(), size), "save the model with its weights")
		}
	case len(places) > 0:
		if err := fsx.WriteFile(data, func(w io.Writer) error { return writePlaces(w, places) }); err != nil {
			return err
		}
	}
	p, err := located(m, places, o.DataFile)
	if err != nil {
		return err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	return fsx.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// layout places the weights that go to the data file in the graph's order.
func layout(m *Model) (places []place, size int64) {
	for _, t := range m.Graph().GetInitializer() {
		w := m.weights[t.GetName()]
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
	return places, size
}

func writePlaces(out io.Writer, places []place) error {
	at := int64(0)
	pad := make([]byte, alignLarge)
	buf := make([]byte, 1<<20)
	for _, p := range places {
		if _, err := out.Write(pad[:p.offset-at]); err != nil {
			return err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{out}, p.w.Data.Reader(), buf)
		if err != nil {
			return fmt.Errorf("writing weight %q: %w", p.w.Name, err)
		}
		if n != p.length {
			return fault.New(fault.Input, "writing weight", p.w.Name, fmt.Sprintf("it gave %d bytes, its shape needs %d", n, p.length), "check the checkpoint")
		}
		at = p.offset + n
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
		if !external {
			b, err := m.weights[t.GetName()].Bytes()
			if err != nil {
				return nil, err
			}
			t.RawData = b
			continue
		}
		t.DataLocation = onnxpb.TensorProto_EXTERNAL
		for _, kv := range [][2]string{
			{"location", file}, {"offset", strconv.FormatInt(p.offset, 10)}, {"length", strconv.FormatInt(p.length, 10)},
		} {
			t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: kv[0], Value: kv[1]})
		}
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
