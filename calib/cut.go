package calib

import (
	"errors"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Cut is the part of m that calibration runs: its outputs are the observed
// tensors and the present KV, in this order, without the logits and whatever
// else only they need. Runtimes compute every node of a graph whatever is
// fetched, so the cut saves the largest matrix product. Tensors that m does not
// compute are an error of class usage that names all; so is a graph that is
// quantized already, with its first node that is.
func Cut(m *onnx.Model, observe []string) (*onnx.Model, error) { return cut(m, observe, States(m)) }

// CutPrefill is Cut for a plan without decode steps (see [Plan.Decodes]): nothing is
// fed back, so the present KV are no outputs either, and nobody has to hold them.
func CutPrefill(m *onnx.Model, observe []string) (*onnx.Model, error) { return cut(m, observe, nil) }

// cut is the part of m that the observed tensors and those states need.
func cut(m *onnx.Model, observe, states []string) (*onnx.Model, error) {
	if err := unquantized(m.Graph()); err != nil {
		return nil, err
	}
	computed := map[string]bool{}
	for _, n := range m.Graph().GetNode() {
		for _, out := range n.GetOutput() {
			computed[out] = true
		}
	}
	var errs []error
	for _, name := range observe {
		if !computed[name] {
			errs = append(errs, fault.New(fault.Usage, "cutting the graph for calibration", name,
				"no node of the model makes this tensor", "name tensors of this model (trtforge inspect)"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c := m.Clone()
	g := c.Graph()
	var outputs []*onnxpb.ValueInfoProto
	for _, name := range observe {
		if !slices.Contains(states, name) {
			outputs = append(outputs, described(g, name))
		}
	}
	for _, v := range g.GetOutput() {
		if slices.Contains(states, v.GetName()) {
			outputs = append(outputs, v)
		}
	}
	g.Output = outputs
	c.Prune()
	g.ValueInfo = slices.DeleteFunc(g.ValueInfo, func(v *onnxpb.ValueInfoProto) bool { return slices.Contains(observe, v.GetName()) })
	return c, nil
}

// described is what the graph knows of a value, or that it is of float.
func described(g *onnxpb.GraphProto, name string) *onnxpb.ValueInfoProto {
	for _, all := range [][]*onnxpb.ValueInfoProto{g.GetOutput(), g.GetValueInfo()} {
		for _, v := range all {
			if v.GetName() == name {
				return v
			}
		}
	}
	v := onnx.ValueInfo(name, onnx.Float32)
	v.GetType().GetTensorType().Shape = nil
	return v
}
