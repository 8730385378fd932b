package half

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
)

// Options are choices for [Convert]; the zero value is what engines want.
type Options struct {
	// Type is the narrow type, onnx.Float16 or onnx.BFloat16; 0 means float16.
	Type onnx.DType
	// Table holds the ranges by which float16 is judged: what [Ranged] lists.
	// Tensors that it lacks are taken to fit; nil judges weights alone. bfloat16
	// has float32's exponent and needs none.
	Table *calib.Table
	// HeadRoom is how many times larger than in calibration a value may become
	// before it leaves float16; 0 means 2.
	HeadRoom float64
	// IO gives single graph inputs and outputs another type than the default
	// ([IOTypes] makes it from words): the narrow type for float inputs and for
	// the outputs that carry the KV cache, float32 for other outputs (the
	// logits), for inputs that only float32 nodes read (a mask), and for states
	// that do not fit.
	IO map[string]onnx.DType
	// Single names nodes that compute in float32 besides those that always do.
	Single map[string]bool
}

// MinScalesOpset is the first opset whose QuantizeLinear takes narrow scales.
const MinScalesOpset = 19

// Convert is m with narrow weights and activations, every type explicit, and which
// nodes compute in float32 and why, in graph order.
//
// Layer norms, Softmax and what masks its scores, and what does not fit
// compute in float32 between Casts; a value that is needed in both types is
// cast once. Integer inputs and outputs stay as they are; QuantizeLinear and
// DequantizeLinear get narrow scales. Errors are of class input: control flow,
// an opset too old for the type, values whose type cannot be known; and of class
// usage: options about what m does not have, or that cannot hold its values.
func Convert(m *onnx.Model, o Options) (*onnx.Model, []Kept, error) {
	if o.Type == 0 {
		o.Type = onnx.Float16
	}
	c, r, err := judged(m, o)
	if err != nil {
		return nil, nil, err
	}
	h, err := newConverter(c, r, o)
	if err != nil {
		return nil, nil, err
	}
	if err := h.convert(); err != nil {
		return nil, nil, err
	}
	c.Prune()
	return c, r.list(), nil
}

// judged is a copy of m whose constants are all weights, and the regions of it
// that compute in float32.
func judged(m *onnx.Model, o Options) (*onnx.Model, *regions, error) {
	stage := "converting to " + o.Type.String()
	if err := graph.Standard(stage, m); err != nil {
		return nil, nil, err
	}
	if err := newEnough(stage, m, o.Type); err != nil {
		return nil, nil, err
	}
	c := m.Clone()
	if err := graph.Hoist(c); err != nil {
		return nil, nil, err
	}
	types, err := graph.ElementTypes(stage, c)
	if err != nil {
		return nil, nil, err
	}
	r := newRegions(c, types)
	return c, r, r.find(o)
}

// newEnough tells whether the model's opset has the type, and its scales.
func newEnough(stage string, m *onnx.Model, t onnx.DType) error {
	bad := func(subject, what string, needed int) error {
		return fault.New(fault.Input, stage, subject, fmt.Sprintf("opset %d has no %s, %d is needed", m.Opset(), what, needed),
			fmt.Sprintf("export the model with opset %d", onnx.OpsetVersion))
	}
	switch n := graph.Quantized(m); {
	case t != onnx.Float16 && t != onnx.BFloat16:
		return fault.New(fault.Usage, stage, t.String(), "this is no narrow float type", "take float16 or bfloat16")
	case t == onnx.BFloat16 && m.Opset() < brainOpset:
		return bad("the model", "bfloat16", brainOpset)
	case n != nil && m.Opset() < MinScalesOpset:
		return bad(graph.Label(n), t.String()+" scales", MinScalesOpset)
	}
	return nil
}

// ioTypes is what each graph input and output becomes.
func ioTypes(m *onnx.Model, r *regions, o Options) (map[string]onnx.DType, error) {
	io := map[string]onnx.DType{}
	g := m.Graph()
	for _, v := range g.GetOutput() {
		io[v.GetName()] = onnx.Float32
	}
	for _, name := range calib.States(m) {
		io[name] = o.Type
	}
	for _, v := range g.GetInput() {
		io[v.GetName()] = o.Type
		if users := r.x.Consumers[v.GetName()]; len(users) > 0 && !slices.ContainsFunc(users, r.narrow) {
			io[v.GetName()] = onnx.Float32
		}
	}
	for name := range io {
		if r.beyond[name] != "" {
			io[name] = onnx.Float32
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.IO)) {
		bad := func(cause, fix string) error {
			return fault.New(fault.Usage, "choosing the type of", name, cause, fix)
		}
		switch t := o.IO[name]; {
		case !r.float(name) || io[name] == 0:
			return nil, bad("it is no float input or output of the model", "name one of trtforge inspect's")
		case t == onnx.Float16 && r.beyond[name] != "":
			return nil, bad("float16 does not hold it: "+r.beyond[name], "take fp32 for it")
		}
		io[name] = o.IO[name]
	}
	return io, nil
}
