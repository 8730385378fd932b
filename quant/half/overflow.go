package half

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// defaultHeadRoom is the factor that a text other than the calibration's may
// exceed the measured ranges by: one step of the exponent.
const defaultHeadRoom = 2

// minusInfinity is from where on a constant stands for -infinity: exporters
// write masks as -1e9 or float32's lowest. Those may be clipped to the narrow
// type's lowest; other constants beyond it may not.
const minusInfinity = -1e9

// bounded are operators whose results never leave [-1, 1].
var bounded = []string{"Softmax", "Hardmax", "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Sin", "Cos", "Sign", "Softsign"}

// Ranged lists the tensors by which [Convert] judges what float16 holds, in graph
// order: every float that a float16 node makes or takes, where its values are
// new (a Reshape's are its input's, but queries, keys and values after their
// Split are three) and not bounded (a Softmax's are). They are
// what calibration has to observe for it.
func Ranged(m *onnx.Model) ([]string, error) {
	c, r, err := judged(m, Options{Type: onnx.Float16, HeadRoom: math.Inf(1)})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, n := range c.Graph().GetNode() {
		op := n.GetOpType()
		if carried(n) != nil && op != "Split" || slices.Contains(bounded, op) {
			continue
		}
		for _, out := range n.GetOutput() {
			if r.float(out) && (r.narrow(n) || r.x.Outputs[out] || slices.ContainsFunc(r.x.Consumers[out], r.narrow)) {
				all = append(all, out)
			}
		}
	}
	return all, nil
}

// overflow is the range rule: who makes or takes a value that float16 does not
// hold computes in float32.
func (r *regions) overflow(o Options) error {
	if err := r.constants(); err != nil {
		return err
	}
	if o.Table != nil {
		r.measured(o)
	}
	r.carry(o.Table)
	for _, n := range r.m.Graph().GetNode() {
		for _, value := range slices.Concat(n.GetOutput(), n.GetInput()) {
			if why := r.beyond[value]; why != "" {
				r.keep(n, value, why)
			}
		}
	}
	return nil
}

// measured notes the values whose range in the table is too wide.
func (r *regions) measured(o Options) {
	room := o.HeadRoom
	if room == 0 {
		room = defaultHeadRoom
	}
	for value, seen := range o.Table.Ranges {
		amax := math.Max(-float64(seen.Lo), float64(seen.Hi))
		switch {
		case !r.float(value) || amax*room <= maxHalf:
		case amax > maxHalf:
			r.beyond[value] = fmt.Sprintf("it reaches %.6g in calibration, float16 ends at 65504", amax)
		default:
			r.beyond[value] = fmt.Sprintf("it reaches %.6g in calibration, less than a factor %g below float16's 65504", amax, room)
		}
	}
}

// constants notes the weights that float16 does not hold: finite values beyond
// it, and weights that would become zero as a whole (an epsilon in a divisor).
func (r *regions) constants() error {
	for _, t := range r.m.Graph().GetInitializer() {
		name := t.GetName()
		if !r.float(name) || !slices.ContainsFunc(r.x.Consumers[name], func(n *onnxpb.NodeProto) bool { return r.narrow(n) && !isScale(n, name) }) {
			continue
		}
		var most, least float32
		err := r.m.Weight(name).Each(func(_ int64, values []float32) error {
			for _, v := range values {
				if v > minusInfinity && v <= math.MaxFloat32 {
					least, most = min(least, v), max(most, v)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		switch amax := max(-least, most); {
		case amax > maxHalf:
			r.beyond[name] = fmt.Sprintf("the weight reaches %.6g, float16 ends at 65504", amax)
		case amax > 0 && amax <= tinyHalf/2:
			r.beyond[name] = fmt.Sprintf("the weight is %.3g at most, which is zero in float16", amax)
		}
	}
	return nil
}

// isScale tells whether n takes value as a quantization scale only: those are
// rounded so that they stay positive.
func isScale(n *onnxpb.NodeProto, value string) bool {
	op := n.GetOpType()
	return (op == "QuantizeLinear" || op == "DequantizeLinear") && len(n.GetInput()) > 1 && n.GetInput()[1] == value
}

// carry follows the values beyond float16 through nodes that only move them:
// forward until a tensor was measured, back to where one comes from, and from a
// state to the past that it is fed to in the next step.
func (r *regions) carry(table *calib.Table) {
	measured := func(value string) bool {
		if table == nil {
			return false
		}
		_, ok := table.Ranges[value]
		return ok
	}
	todo := slices.Sorted(maps.Keys(r.beyond))
	reach := func(value, why string) {
		if r.float(value) && r.beyond[value] == "" {
			r.beyond[value] = why
			todo = append(todo, value)
		}
	}
	for len(todo) > 0 {
		value := todo[0]
		todo = todo[1:]
		for _, n := range r.x.Consumers[value] {
			if slices.Contains(carried(n), value) {
				for _, out := range n.GetOutput() {
					if !measured(out) {
						reach(out, r.beyond[value])
					}
				}
			}
		}
		from := carried(r.x.Producer[value])
		for _, in := range from {
			if len(from) == 1 || r.x.Inputs[in] {
				reach(in, r.beyond[value])
			}
		}
	}
}

// carried are the inputs whose values n moves to its outputs unchanged; nil
// where it computes.
func carried(n *onnxpb.NodeProto) []string {
	in := n.GetInput()
	if n == nil || !onnx.Builtin(n) || len(in) == 0 {
		return nil
	}
	switch n.GetOpType() {
	case "Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Expand", "Tile", "Pad",
		"Gather", "GatherND", "GatherElements", "Trilu", "Dropout", "QuantizeLinear", "DequantizeLinear":
		return in[:1]
	case "Concat":
		return in
	case "Where":
		return in[1:]
	case "ScatterND", "ScatterElements":
		return []string{in[0], in[len(in)-1]}
	}
	return nil
}
