package safetensors

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// MaxHeader is the longest header that is read, in bytes; the reference
// implementation has the same limit.
const MaxHeader = 100 << 20

// Info describes a tensor: row-major, little-endian.
type Info struct {
	Name   string
	Type   string // the format's name: "F32", "F16", "BF16", ...
	Shape  []int64
	Offset int64 // bytes from the beginning of the file
	Length int64 // bytes
}

// File is an open file; its tensors are read with ReadAt.
type File struct {
	*os.File
	Metadata map[string]string // free text, such as format: pt

	tensors []Info
	index   map[string]int
}

// Open reads and checks the header of the file at path. What contradicts the
// format is a fault.Input.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	s, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fsx.Explain("reading", path, err), f.Close())
	}
	tensors, metadata, err := Parse(f, s.Size())
	if err != nil {
		_ = f.Close()
		return nil, fault.Wrap(fault.Input, "reading", path, err, "get the file again, it is damaged or not safetensors")
	}
	file := &File{File: f, Metadata: metadata, tensors: tensors, index: make(map[string]int, len(tensors))}
	for i, t := range tensors {
		file.index[t.Name] = i
	}
	return file, nil
}

// Tensors are all tensors in the order of their offsets.
func (f *File) Tensors() []Info { return f.tensors }

// Tensor is the tensor of that name.
func (f *File) Tensor(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.tensors[i], true
}

// Parse reads and checks the header of a file of size bytes. The tensors come
// in the order of their offsets.
func Parse(r io.ReaderAt, size int64) ([]Info, map[string]string, error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, nil, fmt.Errorf("it is shorter than the 8 bytes of a header's length")
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > MaxHeader {
		return nil, nil, fmt.Errorf("its header states %d bytes, more than the %d that the format allows", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, nil, fmt.Errorf("it is truncated: the header has %d bytes, the file %d", n, size)
	}
	tensors, metadata, err := parseHeader(io.NewSectionReader(r, 8, int64(n)))
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if err := place(tensors, 8+int64(n), size); err != nil {
		return nil, nil, err
	}
	return tensors, metadata, nil
}

// parseHeader decodes entry by entry: a map would hide a name that occurs
// twice, and a header of 100 MB would be in memory several times.
func parseHeader(r io.Reader) ([]Info, map[string]string, error) {
	d := json.NewDecoder(bufio.NewReader(r))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("it does not begin with {")
	}
	var tensors []Info
	var metadata map[string]string
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		name, _ := key.(string) // keys of an object are strings
		if seen[name] {
			return nil, nil, fmt.Errorf("%q occurs twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			err = d.Decode(&metadata)
		} else {
			var info Info
			info, err = parseEntry(d, name)
			tensors = append(tensors, info)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("something follows its last }")
	}
	return tensors, metadata, nil
}

func parseEntry(d *json.Decoder, name string) (Info, error) {
	var e struct {
		DType   string  `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := d.Decode(&e); err != nil {
		return Info{}, err
	}
	length, err := bytesOf(e.DType, e.Shape)
	if err != nil {
		return Info{}, err
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
		return Info{}, fmt.Errorf("data_offsets %v are not a range", e.Offsets)
	}
	if got := e.Offsets[1] - e.Offsets[0]; got != length {
		return Info{}, fmt.Errorf("shape %v of %s needs %d bytes, its range has %d", e.Shape, e.DType, length, got)
	}
	return Info{Name: name, Type: e.DType, Shape: e.Shape, Offset: e.Offsets[0], Length: length}, nil
}

// place sorts tensors by offset, makes offsets count from the beginning of the
// file, and checks that the ranges fill the rest of the file exactly.
func place(tensors []Info, base, size int64) error {
	slices.SortStableFunc(tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	var end int64
	for i := range tensors {
		t := &tensors[i]
		switch {
		case t.Offset < end:
			return fmt.Errorf("tensor %q overlaps %q", t.Name, tensors[i-1].Name)
		case t.Offset > end:
			return fmt.Errorf("%d bytes before tensor %q belong to no tensor", t.Offset-end, t.Name)
		}
		end = t.Offset + t.Length
		if end > size-base {
			return fmt.Errorf("it is truncated: tensor %q ends at byte %d, the file has %d", t.Name, base+end, size)
		}
		t.Offset += base
	}
	if end != size-base {
		return fmt.Errorf("%d bytes after the last tensor belong to no tensor", size-base-end)
	}
	return nil
}
