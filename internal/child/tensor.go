package child

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// MaxChunk is the largest piece of a tensor on descriptor 3, in bytes.
const MaxChunk = 16 << 20

// announced describes a tensor whose bytes follow on descriptor 3.
type announced struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"` // ONNX's name in lower case: "float", "int64"
	Dims  []int64 `json:"dims"`
	Bytes int64   `json:"bytes"`
}

func announce(tensors []onnx.Tensor) []announced {
	var all []announced
	for _, t := range tensors {
		dims := t.Dims
		if dims == nil {
			dims = []int64{} // a scalar: an empty list, never null
		}
		all = append(all, announced{Name: t.Name, Type: t.Type.String(), Dims: dims, Bytes: int64(len(t.Bytes))})
	}
	return all
}

// writeTensors writes the bytes that announce announced.
func writeTensors(w io.Writer, tensors []onnx.Tensor) error {
	for _, t := range tensors {
		for rest := t.Bytes; len(rest) > 0; {
			n := min(len(rest), MaxChunk)
			if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, uint32(n))); err != nil {
				return fmt.Errorf("sending tensor %q: %w", t.Name, err)
			}
			if _, err := w.Write(rest[:n]); err != nil {
				return fmt.Errorf("sending tensor %q: %w", t.Name, err)
			}
			rest = rest[n:]
		}
	}
	return nil
}

// readTensors reads what a frame announced.
func readTensors(r io.Reader, all []announced) ([]onnx.Tensor, error) {
	var tensors []onnx.Tensor
	for _, a := range all {
		t, err := readTensor(r, a)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
	}
	return tensors, nil
}

func readTensor(r io.Reader, a announced) (onnx.Tensor, error) {
	t := onnx.Tensor{Name: a.Name, Type: dtype(a.Type), Dims: a.Dims}
	want, err := t.Type.Bytes(a.Dims)
	if err != nil {
		return t, &framingError{fmt.Sprintf("tensor %q: %v", a.Name, err)}
	}
	if want != a.Bytes {
		return t, &framingError{fmt.Sprintf("tensor %q of %s %v announces %d bytes instead of %d", a.Name, a.Type, a.Dims, a.Bytes, want)}
	}
	// Chunk by chunk: the announced size is trusted with memory only as it arrives.
	var head [4]byte
	for int64(len(t.Bytes)) < want {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return t, fmt.Errorf("receiving tensor %q: %w", a.Name, noEOF(err))
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n == 0 || n > MaxChunk || n > want-int64(len(t.Bytes)) {
			return t, &framingError{fmt.Sprintf("tensor %q: a chunk of %d bytes after %d of %d", a.Name, n, len(t.Bytes), want)}
		}
		at := len(t.Bytes)
		t.Bytes = grow(t.Bytes, n, want)
		if _, err := io.ReadFull(r, t.Bytes[at:]); err != nil {
			return t, fmt.Errorf("receiving tensor %q: %w", a.Name, noEOF(err))
		}
	}
	return t, nil
}

// grow makes b n bytes longer, with capacity doubling up to limit.
func grow(b []byte, n, limit int64) []byte {
	need := int64(len(b)) + n
	if need > int64(cap(b)) {
		b = append(make([]byte, 0, min(limit, max(need, 2*int64(cap(b))))), b...)
	}
	return b[:need]
}

// dtype is the type of ONNX's name in lower case; undefined where unknown.
func dtype(name string) onnx.DType {
	return onnx.DType(onnxpb.TensorProto_DataType_value[strings.ToUpper(name)])
}
