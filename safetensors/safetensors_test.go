package safetensors

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

// file is a file of the given JSON header and n bytes of tensors.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func tensor(name, dtype, content string, shape ...int64) Tensor {
	return Tensor{Name: name, Type: dtype, Shape: shape, Write: func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}}
}

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	metadata := map[string]string{"format": "pt"}
	err := Write(&b, []Tensor{
		tensor("b", "F32", "01234567", 2, 1), tensor(`quoted "a"`, "U8", ""), tensor("empty", "F16", "", 0, 3),
	}, metadata)
	if err == nil {
		t.Error("a scalar of no bytes was written")
	}
	b.Reset()
	err = Write(&b, []Tensor{
		tensor("b", "F32", "01234567", 2, 1), tensor(`quoted "a"`, "U8", "x"), tensor("empty", "F16", "", 0, 3),
	}, metadata)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if diff := cmp.Diff(metadata, f.Metadata); diff != "" {
		t.Error(diff)
	}
	info, ok := f.Tensor("b")
	if !ok || info.Offset%8 != 0 {
		t.Fatalf("tensor b: %+v, found %v", info, ok)
	}
	got := make([]byte, info.Length)
	if _, err := f.ReadAt(got, info.Offset); err != nil || string(got) != "01234567" {
		t.Errorf("tensor b is %q, %v", got, err)
	}
	if len(f.Tensors()) != 3 {
		t.Errorf("%d tensors, want 3", len(f.Tensors()))
	}
	if _, ok := f.Tensor("c"); ok {
		t.Error("there is a tensor c")
	}
}

func TestWriteOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, nil, nil); err != nil {
		t.Fatal(err)
	}
	if tensors, _, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || len(tensors) != 0 {
		t.Errorf("got %v, %v", tensors, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "shorter than the 8 bytes", nil},
		{"long header", "more than the 104857600", binary.LittleEndian.AppendUint64(nil, MaxHeader+1)},
		{"huge header", "more than the", bytes.Repeat([]byte{0xFF}, 8)},
		{"truncated header", "truncated: the header has 99 bytes", binary.LittleEndian.AppendUint64(nil, 99)},
		{"array", "does not begin with {", file(`[]`, 0)},
		{"cut JSON", "EOF", file(`{"a":`, 0)},
		{"two objects", "something follows", file(`{}{}`, 0)},
		{"twice", `"a" occurs twice`, file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2)},
		{"type", `type "F12" is not known`, file(`{"a":{"dtype":"F12","shape":[1],"data_offsets":[0,1]}}`, 1)},
		{"negative shape", "negative dimension", file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1)},
		{"overflowing shape", "larger than any file", file(`{"a":{"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0)},
		{"backward range", "not a range", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}}`, 2)},
		{"no range", "not a range", file(`{"a":{"dtype":"U8","shape":[1]}}`, 1)},
		{"length", "needs 8 bytes, its range has 4", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4)},
		{"overlap", `"b" overlaps "a"`, file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3)},
		{"hole", "1 bytes before tensor", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2)},
		{"truncated", `truncated: tensor "a" ends`, file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 3)},
		{"tail", "1 bytes after the last", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 5)},
		{"metadata", "__metadata__", file(`{"__metadata__":[1]}`, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Parse(bytes.NewReader(c.data), int64(len(c.data)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestOpenSaysWhichFileAndClass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.safetensors")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".absent"} {
		_, err := Open(p)
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// FuzzParse holds what a reader relies on: every tensor lies inside the file.
func FuzzParse(f *testing.F) {
	f.Add(file(`{"__metadata__":{"a":"b"},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}  `, 5))
	f.Add(file(`{"a":{"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, _, err := Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var sum int64
		for _, x := range tensors {
			if x.Offset < 8 || x.Length < 0 || x.Offset+x.Length > int64(len(data)) {
				t.Errorf("tensor %+v leaves the file of %d bytes", x, len(data))
			}
			sum += x.Length
		}
		if sum > int64(len(data)) {
			t.Errorf("tensors of %d bytes in a file of %d", sum, len(data))
		}
	})
}
