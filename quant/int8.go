package quant

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/half"
)

// Decision is what became of a matrix product and why.
type Decision struct {
	Node       string  `json:"node"`
	Role       Role    `json:"role"`
	Layer      int     `json:"layer"`
	Quantized  bool    `json:"quantized"`
	Reason     string  `json:"reason"`
	Activation string  `json:"activation"`
	Amax       float32 `json:"amax,omitempty"` // of the activation, where it is quantized
	Second     string  `json:"second,omitempty"`
	SecondAmax float32 `json:"second_amax,omitempty"`
	Weight     string  `json:"weight,omitempty"`
	Axis       int     `json:"axis"`
	// AddedBytes is by how much the weights grow: levels and scales, less the float
	// weight where nothing needs it any more.
	AddedBytes int64  `json:"added_bytes,omitempty"`
	Shared     string `json:"shared,omitempty"` // what else needs the float weight, so that it stays
}

// minPerAxis is the first opset whose DequantizeLinear takes a scale a channel.
const minPerAxis = 13

// Int8 is m with the matrix products that the policy takes in explicit INT8:
// both operands come from a DequantizeLinear, symmetric, zero point 0; weights
// are stored as INT8 with one float32 scale an output channel (amax/127),
// activations have one scale a tensor (the table's amax/127) and for each product
// a QuantizeLinear/DequantizeLinear pair right before it. Results are float:
// biases, residual sums and everything else stay float32. A Gemm of the common form becomes a MatMul
// of rank 3 and an Add, for ONNX Runtime has no integer kernel for it. Where a
// joint projection is split right behind the product, the parts are first laid
// side by side, for NVIDIA's builder would multiply it in float.
//
// With Policy.WeightOnly the table may be nil.
//
// The decisions tell of every matrix product whether and why, in graph order.
// Errors are of class input: a graph that is quantized already, an opset below
// 13, a table of another model (one that names no model is taken as it is),
// tensors that the table lacks or whose range is zero or not finite, products
// that the policy takes and whose weights are computed or not float32 (all of
// them at once), a weight that is not finite.
func Int8(m *onnx.Model, table *calib.Table, p Policy) (*onnx.Model, []Decision, error) {
	if err := quantizable(m, table, p); err != nil {
		return nil, nil, err
	}
	c, found, err := products(m)
	if err != nil {
		return nil, nil, err
	}
	if err := obstacles(found, p); err != nil {
		return nil, nil, err
	}
	q := newQuantizer(c, table, p)
	decisions := make([]Decision, len(found))
	errs := make([]error, len(found))
	for i, l := range found {
		decisions[i], errs[i] = q.decide(l.target, p)
		if l.obstacle != "" {
			decisions[i].Reason += "; " + l.obstacle
		}
	}
	q.measure(found, decisions)
	for i, l := range found {
		if d := &decisions[i]; errs[i] == nil && d.Quantized {
			d.AddedBytes, errs[i] = q.rewrite(l, *d)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	q.splice()
	c.Prune()
	q.account(decisions)
	return c, decisions, nil
}

// quantizable refuses what is to be known before any product is looked at.
func quantizable(m *onnx.Model, table *calib.Table, p Policy) error {
	const stage = "quantizing"
	if err := graph.Standard(stage, m); err != nil {
		return err
	}
	if n := graph.Quantized(m); n != nil {
		return fault.New(fault.Input, stage, graph.Label(n), "the model is quantized already", "quantize the float32 model")
	}
	if m.Opset() < minPerAxis {
		return fault.New(fault.Input, stage, "the model",
			fmt.Sprintf("opset %d has no scale per channel, %d is needed, and %d with FP16 around it", m.Opset(), minPerAxis, half.MinScalesOpset),
			fmt.Sprintf("export it again with opset %d (torch.onnx.export: opset_version=%d, optimum-cli: --opset %d)", half.MinScalesOpset, half.MinScalesOpset, half.MinScalesOpset))
	}
	switch {
	case p.WeightOnly:
		return nil
	case table == nil:
		return fault.New(fault.Usage, stage, "the model", "there is no calibration table", "calibrate first, or quantize weights only")
	case table.Model == "":
		return nil
	}
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	return table.Fits(digest)
}

// decide judges one matrix product.
func (q *quantizer) decide(t Target, p Policy) (Decision, error) {
	d := Decision{Node: t.Node, Role: t.Role, Layer: t.Layer, Activation: t.Activation, Second: t.Second, Weight: t.Weight, Axis: t.Axis}
	switch {
	case p.Exclude[t.Node]:
		d.Reason = "excluded by name"
		return d, nil
	case p.WeightOnly && t.Role.batched():
		d.Reason = "it has no weight"
		return d, nil
	case !p.takes(t.Role):
		d.Reason = fmt.Sprintf("the policy leaves %s in high precision", t.Role)
		return d, nil
	}
	d.Quantized, d.Reason = true, "the policy takes "+string(t.Role)
	if p.WeightOnly {
		d.Reason = "the policy takes the weight of " + string(t.Role)
		return d, nil
	}
	var first, second error
	if d.Amax = 1; t.Role != Values {
		d.Amax, first = q.amax(t.Node, t.Activation)
	}
	if t.Second != "" {
		d.SecondAmax, second = q.amax(t.Node, t.Second)
	}
	return d, errors.Join(first, second)
}

// amax is the magnitude of a tensor by the table.
func (q *quantizer) amax(node, tensor string) (float32, error) {
	r, ok := q.table.Ranges[tensor]
	cause := ""
	switch err := r.Check(); {
	case !ok:
		cause = "is missing"
	case err != nil:
		cause = "cannot be used: " + err.Error()
	case r.Amax/127 == 0:
		cause = "is zero"
	default:
		return r.Amax, nil
	}
	return 0, fault.New(fault.Input, "quantizing node", node,
		fmt.Sprintf("the calibration table's range of %q %s", tensor, cause), "calibrate this model")
}

// account tells where a float weight stays beside its levels, and takes those
// that go from the bytes of the first product that had them.
func (q *quantizer) account(decisions []Decision) {
	x := graph.NewIndex(q.m.Graph())
	gone := map[string]bool{}
	for i := range decisions {
		d := &decisions[i]
		w := q.floats[d.Weight]
		switch {
		case !d.Quantized || w == nil || gone[d.Weight]:
		case q.m.Weight(d.Weight) == nil:
			gone[d.Weight] = true
			d.AddedBytes -= w.Data.Size()
		default:
			d.Shared = "the model's output"
			if users := x.Consumers[d.Weight]; len(users) > 0 {
				d.Shared = graph.Label(users[0])
			}
		}
	}
}

// quantizer rewrites chosen nodes of a graph.
type quantizer struct {
	m          *onnx.Model
	x          *graph.Index
	used       graph.Names
	table      *calib.Table
	policy     Policy
	pairs      map[string]*pairs       // of each activation
	batched    map[string]string       // activation -> it as one of a batch
	weights    map[string]string       // weight and layout -> its dequantized form
	measured   map[string]measured     // scales that were found beforehand
	chosen     map[string][]float32    // scales by weight and layout
	floats     map[string]*onnx.Weight // the weights that were quantized, as they were
	zero, axes string                  // shared constants, empty until needed
	replaced   map[*onnxpb.NodeProto][]*onnxpb.NodeProto
	shapes     map[string][]onnx.Dim // of the graph before; nil until needed
}

func newQuantizer(m *onnx.Model, table *calib.Table, p Policy) *quantizer {
	return &quantizer{m: m, x: graph.NewIndex(m.Graph()), used: graph.UsedNames(m.Graph()), table: table, policy: p,
		pairs: map[string]*pairs{}, batched: map[string]string{}, weights: map[string]string{}, chosen: map[string][]float32{}, floats: map[string]*onnx.Weight{},
		replaced: map[*onnxpb.NodeProto][]*onnxpb.NodeProto{}}
}
