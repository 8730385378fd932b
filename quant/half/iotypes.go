package half

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// ioWords are the types that a user may ask for.
var ioWords = map[string]onnx.DType{"fp32": onnx.Float32, "fp16": onnx.Float16, "bf16": onnx.BFloat16}

// IOTypes reads choices of the types of m's float inputs and outputs, for
// [Options]: "fp16" (all of them), "kv=fp32" (the cache, past and present),
// "logits=fp16" (one by name); a later choice wins. Errors are of class usage.
func IOTypes(m *onnx.Model, choices ...string) (map[string]onnx.DType, error) {
	io := map[string]onnx.DType{}
	for _, choice := range choices {
		name, word, named := strings.Cut(choice, "=")
		if !named {
			name, word = "", choice
		}
		t, known := ioWords[word]
		if !known {
			return nil, fault.New(fault.Usage, "choosing types of inputs and outputs", choice, "no type is called "+word,
				"write fp32, fp16 or bf16, NAME= before it for one tensor, kv= for the cache")
		}
		for _, value := range ioNames(m, name) {
			io[value] = t
		}
	}
	return io, nil
}

// ioNames are the float inputs and outputs that a word means: all of them, the
// cache, or the one of that name.
func ioNames(m *onnx.Model, word string) []string {
	if word != "" && word != "kv" {
		return []string{word}
	}
	states := calib.States(m)
	var all []string
	g := m.Graph()
	for _, v := range g.GetInput() {
		t, dims := onnx.TypeOf(v)
		if t == onnx.Float32 && m.Weight(v.GetName()) == nil && (word == "" || len(dims) >= 4) {
			all = append(all, v.GetName())
		}
	}
	for _, v := range g.GetOutput() {
		if t, _ := onnx.TypeOf(v); t == onnx.Float32 && (word == "" || slices.Contains(states, v.GetName())) {
			all = append(all, v.GetName())
		}
	}
	return all
}
