package onnx

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/trtforge/trtforge/internal/beside"
)

// silent are fields that say nothing about what a model computes: prose, who
// made it, and where a tensor's bytes lie.
var silent = map[protoreflect.Name]bool{
	"doc_string": true, "producer_name": true, "producer_version": true,
	"model_version": true, "external_data": true, "data_location": true,
}

// unordered are repeated messages whose order means nothing.
var unordered = map[protoreflect.Name]bool{
	"initializer": true, "value_info": true, "metadata_props": true, "attribute": true,
	"opset_import": true, "functions": true,
}

// Digest is the sha256, in hexadecimal, of what the model computes: its graph
// by field numbers and its weights by name. It does not depend on the order of
// protobuf fields, on how weights are stored, or on file names. It reads every
// weight once.
func (m *Model) Digest() (string, error) {
	h := sha256.New()
	h.Write(canonical(m.Proto.ProtoReflect()))
	names := make([]string, 0, len(m.weights))
	for name := range m.weights {
		names = append(names, name)
	}
	slices.Sort(names)
	sums, errs := make([]string, len(names)), make([]error, len(names))
	largest := make([]int, len(names)) // or one hasher would end with a table of embeddings, and the others wait
	for i := range largest {
		largest[i] = i
	}
	slices.SortStableFunc(largest, func(a, b int) int {
		return cmp.Compare(m.weights[names[b]].Data.Size(), m.weights[names[a]].Data.Size())
	})
	// Weights that are made on the spot may hold a copy meanwhile: hence few hashers.
	beside.Do(len(names), hashers, func(k int) {
		i := largest[k]
		sums[i], errs[i] = m.weights[names[i]].digest()
	})
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	for _, sum := range sums {
		_, _ = io.WriteString(h, sum)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashers is how many weights are hashed at once, at most.
const hashers = 4

// digest is a weight's line: name, type, shape and the sha256 of its bytes.
func (w *Weight) digest() (string, error) {
	data := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{data}, w.Data.Reader(), make([]byte, 1<<20))
	if err == nil && n != w.Data.Size() {
		err = fmt.Errorf("%d bytes of %d: %w", n, w.Data.Size(), io.ErrUnexpectedEOF)
	}
	if err != nil {
		return "", fmt.Errorf("reading weight %q: %w", w.Name, err)
	}
	return fmt.Sprintf("weight %q %d %v %x\n", w.Name, w.Type, w.Dims, data.Sum(nil)), nil
}

// canonical is a form of a message that depends on its content alone: fields
// by number, each with its length, so that no two messages share a form.
// Protobuf's own bytes do not promise that from one version to the next.
func canonical(m protoreflect.Message) []byte {
	var fields []protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !silent[f.Name()] {
			fields = append(fields, f)
		}
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	var out []byte
	for _, f := range fields {
		v := m.Get(f)
		if !f.IsList() {
			out = appendField(out, f, element(v))
			continue
		}
		list := v.List()
		var items []string
		for i := range list.Len() {
			items = append(items, string(element(list.Get(i))))
		}
		if unordered[f.Name()] {
			slices.Sort(items)
		}
		for _, item := range items {
			out = appendField(out, f, []byte(item))
		}
	}
	// Fields of a newer schema count as they are.
	return append(out, m.GetUnknown()...)
}

func appendField(out []byte, f protoreflect.FieldDescriptor, content []byte) []byte {
	out = binary.AppendUvarint(out, uint64(f.Number()))
	out = binary.AppendUvarint(out, uint64(len(content)))
	return append(out, content...)
}

func element(v protoreflect.Value) []byte {
	switch x := v.Interface().(type) {
	case protoreflect.Message:
		return canonical(x)
	case []byte:
		return x
	case float32:
		return binary.AppendUvarint(nil, uint64(math.Float32bits(x)))
	case float64:
		return binary.AppendUvarint(nil, math.Float64bits(x))
	case string:
		return []byte(x)
	}
	return fmt.Append(nil, v.Interface())
}
