package sidecar

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FlexBuffers, as far as a .profile needs it (flatbuffers, flexbuffers.h and
// docs/source/flexbuffers.md):
//
// A value is found from the file's end: the last byte is the width of the root in
// bytes, the one before its packed type (type << 2 | log2 of the width of what it
// points to), and the root itself stands before these. Whatever is no scalar is an
// offset, back from where the offset stands. A vector has its length one width
// before its first element. A map is a vector of values, the packed types of which
// follow the last value, with the offset of the vector of keys and the width of that
// before the length. Keys end with a zero byte.

// The types that a .profile is made of.
const (
	typeMap       = 9
	typeVectorInt = 11
	typeVectorKey = 14 // what the builder calls a typed vector without elements
)

// Bounds of a file that nobody vouches for.
const (
	maxFile    = 16 << 20 // bytes
	maxTensors = 100_000
	maxKey     = 4096      // bytes of a name
	maxNumbers = 1_000_000 // in all: vectors may share bytes, so the file's size does not bound them
)

var errCut = errors.New("an offset or a length points outside of the file")

// flex is a file's bytes.
type flex []byte

// uint reads an unsigned little-endian integer of width bytes.
func (f flex) uint(at, width int) (uint64, error) {
	if at < 0 || width < 1 || at > len(f)-width {
		return 0, errCut
	}
	switch width {
	case 1:
		return uint64(f[at]), nil
	case 2:
		return uint64(binary.LittleEndian.Uint16(f[at:])), nil
	case 4:
		return uint64(binary.LittleEndian.Uint32(f[at:])), nil
	case 8:
		return binary.LittleEndian.Uint64(f[at:]), nil
	}
	return 0, fmt.Errorf("an integer of %d bytes", width)
}

// int reads a signed integer.
func (f flex) int(at, width int) (int64, error) {
	u, err := f.uint(at, width)
	shift := 64 - 8*width
	return int64(u<<shift) >> shift, err
}

// follow gives the place that the offset at a place points to.
func (f flex) follow(at, width int) (int, error) {
	back, err := f.uint(at, width)
	if err != nil || back > uint64(at) {
		return 0, errCut
	}
	return at - int(back), nil
}

// length is that of the vector whose first element stands at at.
func (f flex) length(at, width int) (int, error) {
	n, err := f.uint(at-width, width)
	if err != nil || n > uint64(len(f)) || at+int(n)*width > len(f) {
		return 0, errCut
	}
	return int(n), nil
}

// vector is one entry of the map.
type vector struct {
	key  string
	ints []int64
}

// vectors reads the whole file.
func (f flex) vectors() ([]vector, error) {
	if len(f) < 3 {
		return nil, errors.New("it is too short to be FlexBuffers")
	}
	width := int(f[len(f)-1])
	packed := f[len(f)-2]
	if packed>>2 != typeMap {
		return nil, errors.New("it is no FlexBuffers map")
	}
	at, err := f.follow(len(f)-2-width, width)
	if err != nil {
		return nil, err
	}
	width = 1 << (packed & 3)
	n, err := f.length(at, width)
	if err != nil {
		return nil, err
	}
	if n > maxTensors {
		return nil, fmt.Errorf("%d inputs are more than the %d that are read", n, maxTensors)
	}
	keys, keyWidth, err := f.keys(at, width, n)
	if err != nil {
		return nil, err
	}
	all, left := make([]vector, n), maxNumbers
	for i := range all {
		if all[i].key, err = f.key(keys+i*keyWidth, keyWidth); err != nil {
			return nil, err
		}
		types := at + n*width
		if types+i >= len(f) {
			return nil, errCut
		}
		if all[i].ints, err = f.ints(at+i*width, width, f[types+i], &left); err != nil {
			return nil, fmt.Errorf("input %q: %w", all[i].key, err)
		}
	}
	return all, nil
}

// keys is where the n keys of the map at at stand, and their width.
func (f flex) keys(at, width, n int) (keys, keyWidth int, err error) {
	w, err := f.uint(at-2*width, width)
	if err != nil || w > 8 {
		return 0, 0, errCut
	}
	if keys, err = f.follow(at-3*width, width); err != nil {
		return 0, 0, err
	}
	count, err := f.length(keys, int(w))
	if err == nil && count != n {
		err = fmt.Errorf("%d names for %d vectors", count, n)
	}
	return keys, int(w), err
}

func (f flex) key(at, width int) (string, error) {
	at, err := f.follow(at, width)
	if err != nil {
		return "", err
	}
	for end := at; end < len(f) && end-at <= maxKey; end++ {
		if f[end] == 0 {
			return string(f[at:end]), nil
		}
	}
	return "", errors.New("a name has no end")
}

// ints reads the vector of integers that the value at at points to.
func (f flex) ints(at, width int, packed byte, left *int) ([]int64, error) {
	at, err := f.follow(at, width)
	if err != nil {
		return nil, err
	}
	width = 1 << (packed & 3)
	n, err := f.length(at, width)
	if err != nil {
		return nil, err
	}
	if t := packed >> 2; t != typeVectorInt && (t != typeVectorKey || n > 0) {
		return nil, fmt.Errorf("its value is of type %d, not a vector of integers", t)
	}
	if *left -= n; *left < 0 {
		return nil, fmt.Errorf("more than %d numbers", maxNumbers)
	}
	all := make([]int64, n)
	for i := range all {
		if all[i], err = f.int(at+i*width, width); err != nil {
			return nil, err
		}
	}
	return all, nil
}
