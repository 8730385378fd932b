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

const (
	// referFrom is what a weight's place in its file must be a multiple of to be
	// referred to: runtimes map the file and use the bytes where they are.
	referFrom = 64
	// maxEmbedded is the bytes of weights that Refer takes into a graph.
	maxEmbedded = 64 << 20
)

// Refer writes the graph alone to path. Its weights stay in the files where they
// lie, and the result is the directory of those files, in which a reader has to
// look for them: [LoadFrom], or what a runtime has for it. Weights that cannot be
// referred to are written into the graph. Where that would be too much, or weights
// lie in several directories, nothing is written and the result is "": [Save] copies.
func Refer(m *Model, path string) (dir string, err error) {
	out := proto.Clone(m.Proto).(*onnxpb.ModelProto)
	var embedded int64
	for _, t := range out.GetGraph().GetInitializer() {
		w := m.weights[t.GetName()]
		if w == nil || w.Data == nil {
			return "", fault.New(fault.Input, "saving weight", t.GetName(), "it has no data", "export the model again")
		}
		if w.Type == String {
			continue
		}
		at, s, ok := lies(w)
		if !ok || dir != "" && at != dir {
			if embedded += w.Data.Size(); embedded > maxEmbedded {
				return "", nil
			}
			if t.RawData, err = w.Bytes(); err != nil {
				return "", err
			}
			continue
		}
		dir = at
		refer(t, filepath.Base(s.File.(*os.File).Name()), s.Offset, s.Length)
	}
	if dir == "" {
		return "", nil
	}
	graph, err := proto.MarshalOptions{Deterministic: true}.Marshal(out)
	if err != nil {
		return "", fmt.Errorf("encoding %s: %w", path, err)
	}
	return dir, fsx.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(graph)
		return err
	})
}

// lies is the directory of the file that a weight can be referred to in.
func lies(w *Weight) (dir string, s Segment, ok bool) {
	s, ok = w.Data.(Segment)
	if !ok || s.Length < inline || s.Offset%referFrom != 0 {
		return "", s, false
	}
	f, ok := s.File.(*os.File)
	if !ok {
		return "", s, false
	}
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return "", s, false
	}
	// Runtimes refuse a link that leaves the directory.
	info, err := os.Lstat(path)
	return filepath.Dir(path), s, err == nil && info.Mode().IsRegular()
}

// refer makes t refer to a segment of a file.
func refer(t *onnxpb.TensorProto, file string, offset, length int64) {
	t.DataLocation = onnxpb.TensorProto_EXTERNAL
	for _, kv := range [][2]string{
		{"location", file}, {"offset", strconv.FormatInt(offset, 10)}, {"length", strconv.FormatInt(length, 10)},
	} {
		t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: kv[0], Value: kv[1]})
	}
}
