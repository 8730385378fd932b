package calib

import (
	"context"
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// Broken is the error of a batch that could not be calibrated on.
type Broken struct {
	Samples []int // of the plan, that were run together
	Err     error
}

// Error names the samples.
func (e *Broken) Error() string {
	return fmt.Sprintf("calibrating on samples %v: %v", e.Samples, e.Err)
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Broken) Unwrap() error { return e.Err }

// Everything is a copy of a cut graph with every float value that a node makes
// as an output, so that a run tells which of them is not finite.
func Everything(m *onnx.Model) *onnx.Model {
	all := m.Clone()
	_ = shape.Infer(all) // what it cannot tell the types of is not looked at
	g := all.Graph()
	known := map[string]*onnxpb.ValueInfoProto{}
	for _, v := range g.GetValueInfo() {
		known[v.GetName()] = v
	}
	for _, v := range g.GetOutput() {
		delete(known, v.GetName())
	}
	var values []*onnxpb.ValueInfoProto
	for _, n := range g.GetNode() {
		for _, out := range n.GetOutput() {
			if v := known[out]; v != nil {
				if t, _ := onnx.TypeOf(v); t == onnx.Float32 {
					g.Output = append(g.Output, v)
					continue
				}
			}
		}
	}
	for _, v := range g.GetValueInfo() {
		if t, _ := onnx.TypeOf(v); known[v.GetName()] == nil || t != onnx.Float32 {
			values = append(values, v)
		}
	}
	g.ValueInfo = values
	return all
}

// Locate makes an error of [Resume] that holds a [NotFinite] more precise: it
// runs the samples again, one by one where the graph's batch is free, on r, which
// holds [Everything] of the cut graph m, and names the first node, in the graph's
// order, whose output is not finite, in the first step in which one is. Any other
// error, and one that does not come again, is returned as it is.
func Locate(ctx context.Context, r Runner, m *onnx.Model, c *contract.Contract, job Job, err error) error {
	var broken *Broken
	var value *NotFinite
	if !errors.As(err, &broken) || !errors.As(err, &value) {
		return err
	}
	all := Everything(m)
	job.Observe = nil
	for _, v := range all.Graph().GetOutput() {
		if t, _ := onnx.TypeOf(v); t == onnx.Float32 {
			job.Observe = append(job.Observe, v.GetName())
		}
	}
	d, again := newDriver(r, c, job)
	if again != nil {
		return err
	}
	groups := [][]int{broken.Samples}
	if fixedBatch(c) == 0 {
		groups = nil
		for _, s := range broken.Samples {
			groups = append(groups, []int{s})
		}
	}
	for _, samples := range groups {
		var found error
		_ = d.batch(ctx, samples, func(out []onnx.Tensor) error {
			found = firstNode(all, out, samples, d.past)
			return found
		})
		if found != nil {
			return found
		}
	}
	return err
}

// firstNode is the error of the first node that made a value which is not finite.
func firstNode(m *onnx.Model, out []onnx.Tensor, samples []int, past int64) error {
	bad := map[string]*NotFinite{}
	for _, t := range out {
		values, err := t.Float32s()
		if err != nil {
			continue
		}
		if _, _, i := extremes(values); i >= 0 {
			bad[t.Name] = &NotFinite{Tensor: t.Name, Index: i, Value: values[i]}
		}
	}
	for _, n := range m.Graph().GetNode() {
		for _, name := range n.GetOutput() {
			if e := bad[name]; e != nil {
				return &fault.Error{Code: fault.Input, Stage: "calibrating", Subject: "node " + label(n),
					Cause: fmt.Sprintf("of all nodes this %s is the first whose output is not finite, on samples %v within %d tokens", n.GetOpType(), samples, past),
					Err:   e, Fix: "look at this node's weights and inputs; the checkpoint or the text may be damaged"}
			}
		}
	}
	return nil
}
