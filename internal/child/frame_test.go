package child

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/trtforge/trtforge/onnx"
)

func FuzzReadMessage(f *testing.F) {
	f.Add(frame(f, &message{Type: "hello", Name: "x", Protocol: 1}))
	f.Add(frame(f, &message{Type: "result", ID: 3, Result: []byte(`{"a":1}`), Tensors: []announced{{"t", "float", []int64{2}, 8}}}))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x02\x00\x00\x00{}"))
	f.Add([]byte("\x00\x00\x00\x04short"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readMessage(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := readMessage(bytes.NewReader(frame(t, m)))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if m.Type != again.Type || m.ID != again.ID {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}

func FuzzReadTensors(f *testing.F) {
	var whole bytes.Buffer
	if err := writeTensors(&whole, []onnx.Tensor{floats("t", 4)}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes(), "float", int64(4), int64(16))
	f.Add([]byte("\x00\x00\x00\x00"), "int64", int64(1), int64(8))
	f.Add([]byte{}, "float", int64(1)<<60, int64(1)<<62)
	f.Fuzz(func(t *testing.T, data []byte, kind string, dim, size int64) {
		got, err := readTensors(bytes.NewReader(data), []announced{{"t", kind, []int64{dim}, size}})
		if err == nil && int64(len(got[0].Bytes)) != size {
			t.Errorf("%d bytes instead of %d", len(got[0].Bytes), size)
		}
	})
}

func TestReadMessageEnds(t *testing.T) {
	whole := frame(t, &message{Type: "heartbeat"})
	for n := range whole {
		_, err := readMessage(bytes.NewReader(whole[:n]))
		if want := io.ErrUnexpectedEOF; n > 0 && !errors.Is(err, want) {
			t.Errorf("%d bytes gave %v", n, err)
		}
	}
	if _, err := readMessage(bytes.NewReader(nil)); err != io.EOF { //nolint:errorlint // the exact value is promised
		t.Errorf("an empty stream gave %v", err)
	}
}

func TestWriteMessageLimit(t *testing.T) {
	long := make([]byte, MaxFrame)
	for i := range long {
		long[i] = '1'
	}
	err := writeMessage(io.Discard, &message{Type: "job", Request: long})
	var framing *framingError
	if !errors.As(err, &framing) {
		t.Errorf("got %v", err)
	}
}

func TestChunks(t *testing.T) {
	in := []onnx.Tensor{floats("t", MaxChunk/4+1)}
	var b bytes.Buffer
	if err := writeTensors(&b, in); err != nil {
		t.Fatal(err)
	}
	if first := binary.LittleEndian.Uint32(b.Bytes()); first != MaxChunk || b.Len() != 4+MaxChunk+4+4 {
		t.Errorf("first chunk %d of %d bytes in all", first, b.Len())
	}
	out, err := readTensors(&b, announce(in))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in[0].Bytes, out[0].Bytes) {
		t.Error("the tensor came back changed")
	}
}
