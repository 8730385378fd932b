package ort

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// describe reads a model's inputs and outputs from its file: ONNX Runtime
// tells them only through a second session, and without the symbols.
func describe(path, weights string) (in, out []Info, err error) {
	m, err := onnx.LoadFrom(path, weights)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = m.Close() }()
	g := m.Graph()
	for _, v := range g.GetInput() {
		if m.Weight(v.GetName()) == nil { // before IR version 4, weights are inputs too
			in = append(in, info(v))
		}
	}
	for _, v := range g.GetOutput() {
		out = append(out, info(v))
	}
	return in, out, nil
}

func info(v *onnxpb.ValueInfoProto) Info {
	t, dims := onnx.TypeOf(v)
	return Info{Name: v.GetName(), Type: t, Dims: dims}
}

// solve is the shape of an output, from the symbols that the feeds give values
// to. A symbol may be a sum, as exporters write "past + seq".
func solve(out Info, in []Info, feeds map[string]onnx.Tensor) ([]int64, error) {
	known := map[string]int64{}
	for _, i := range in {
		dims := feeds[i.Name].Dims
		for k, d := range i.Dims {
			if d.Symbol != "" && k < len(dims) {
				known[d.Symbol] = dims[k]
			}
		}
	}
	shape := []int64{}
	for _, d := range out.Dims {
		n, ok := value(d, known)
		if !ok {
			return nil, fmt.Errorf("output %q: dimension %s is not known from the inputs; bind the output instead", out.Name, d)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

func value(d onnx.Dim, known map[string]int64) (int64, bool) {
	if d.Symbol == "" {
		return d.Size, d.Size >= 0
	}
	if n, ok := known[d.Symbol]; ok {
		return n, true
	}
	var sum int64
	for _, term := range strings.Split(d.Symbol, "+") {
		term = strings.TrimSpace(term)
		n, ok := known[term]
		if !ok {
			var err error
			if n, err = strconv.ParseInt(term, 10, 64); err != nil {
				return 0, false
			}
		}
		sum += n
	}
	return sum, true
}
