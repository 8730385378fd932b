package onnx

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers on the way to a weight's bytes (onnx.proto3).
const (
	fieldGraph       = 7 // of ModelProto
	fieldInitializer = 5 // of GraphProto
	fieldRawData     = 9 // of TensorProto
)

// walker copies a serialized model without the raw data of its initializers,
// which protobuf would have to hold in memory as a whole.
type walker struct {
	file     io.ReaderAt
	pos, end int64 // the place in the file, and its size
	buf      []byte
	at       int64     // where buf begins in the file
	left     int64     // bytes of raw data passed over
	payloads []Segment // by initializer
}

var (
	errEnds  = errors.New("the file ends inside a field")
	errLarge = fmt.Errorf("the graph is larger than %d bytes without its weights", maxGraph)
)

// message copies the fields up to end; where a field of number descend occurs,
// it is entered instead: model, then graph, then initializer.
func (w *walker) message(end int64, descend protowire.Number) ([]byte, error) {
	var out []byte
	for w.pos < end {
		if w.pos-w.left > maxGraph {
			return nil, errLarge
		}
		tag, err := w.varint(end)
		if err != nil {
			return nil, err
		}
		num, typ := protowire.DecodeTag(tag)
		if num < protowire.MinValidNumber {
			return nil, fmt.Errorf("not an ONNX model: field number %d at byte %d", num, w.pos)
		}
		if typ != protowire.BytesType {
			if out, err = w.scalar(out, tag, typ, end); err != nil {
				return nil, err
			}
			continue
		}
		n, err := w.varint(end)
		if err != nil {
			return nil, err
		}
		if n > uint64(end-w.pos) {
			return nil, errEnds
		}
		content, err := w.content(w.pos+int64(n), num, descend)
		if err != nil {
			return nil, err
		}
		if content == nil && descend == fieldRawData && num == fieldRawData {
			continue
		}
		out = protowire.AppendVarint(out, tag)
		out = protowire.AppendBytes(out, content)
	}
	return out, nil
}

// content is what a length-delimited field that ends at end becomes; nil for
// raw data that stay in the file.
func (w *walker) content(end int64, num, descend protowire.Number) ([]byte, error) {
	switch {
	case num != descend:
	case num == fieldGraph:
		return w.message(end, fieldInitializer)
	case num == fieldInitializer:
		w.payloads = append(w.payloads, Segment{})
		return w.message(end, fieldRawData)
	case num == fieldRawData && end-w.pos >= inline:
		p := &w.payloads[len(w.payloads)-1]
		if p.Length > 0 {
			return nil, fmt.Errorf("not an ONNX model: a tensor has raw data twice, at bytes %d and %d", p.Offset, w.pos)
		}
		*p = Segment{File: w.file, Offset: w.pos, Length: end - w.pos}
		w.left += p.Length
		w.pos = end
		return nil, nil
	}
	if end-w.left > maxGraph {
		return nil, errLarge
	}
	b := make([]byte, end-w.pos)
	if _, err := w.file.ReadAt(b, w.pos); err != nil {
		return nil, errEnds
	}
	w.pos = end
	return b, nil
}

// scalar copies a field of fixed or variable width.
func (w *walker) scalar(out []byte, tag uint64, typ protowire.Type, end int64) ([]byte, error) {
	out = protowire.AppendVarint(out, tag)
	width := map[protowire.Type]int64{protowire.Fixed32Type: 4, protowire.Fixed64Type: 8}[typ]
	switch {
	case typ == protowire.VarintType:
		v, err := w.varint(end)
		return protowire.AppendVarint(out, v), err
	case width == 0:
		return nil, fmt.Errorf("not an ONNX model: wire type %d at byte %d", typ, w.pos)
	case width > end-w.pos:
		return nil, errEnds
	}
	b, err := w.peek(width)
	if err != nil {
		return nil, err
	}
	w.pos += width
	return append(out, b[:width]...), nil
}

func (w *walker) varint(end int64) (uint64, error) {
	b, err := w.peek(min(end-w.pos, 10))
	if err != nil {
		return 0, err
	}
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, errEnds
	}
	w.pos += int64(n)
	return v, nil
}

// peek is the next n bytes, read through a buffer: fields of a graph are short.
func (w *walker) peek(n int64) ([]byte, error) {
	if w.pos < w.at || w.pos+n > w.at+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, 64<<10)
		}
		w.buf = w.buf[:cap(w.buf)]
		got, err := w.file.ReadAt(w.buf, w.pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading at byte %d: %w", w.pos, err)
		}
		w.at, w.buf = w.pos, w.buf[:got]
		if int64(got) < n {
			return nil, errEnds
		}
	}
	from := w.pos - w.at
	return w.buf[from : from+n], nil
}
