package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Tensor is a tensor to be written.
type Tensor struct {
	Name  string
	Type  string // as in [Info]
	Shape []int64
	Write func(w io.Writer) error // writes exactly the tensor's bytes
}

// Write writes a file of the tensors in the given order, streaming each.
// metadata may be nil.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := header(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		want, err := bytesOf(t.Type, t.Shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		c := &counter{w: w}
		if err := t.Write(c); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if c.n != want {
			return fmt.Errorf("tensor %q: %d bytes were written, its shape needs %d", t.Name, c.n, want)
		}
	}
	return nil
}

// header is the length and the JSON, padded with spaces so that the tensors
// begin at a multiple of 8.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	b := bytes.NewBuffer(make([]byte, 8))
	field := func(name string, value any) error {
		if b.Len() == 8 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(text)
		return nil
	}
	if metadata != nil {
		if err := field("__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	var offset int64
	for _, t := range tensors {
		n, err := bytesOf(t.Type, t.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if err := field(t.Name, entry{t.Type, append([]int64{}, t.Shape...), [2]int64{offset, offset + n}}); err != nil {
			return nil, err
		}
		offset += n
	}
	if b.Len() == 8 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
