package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// view is a weight as a matrix product sees it through the nodes between.
type view struct {
	*onnx.Weight
	dims       []int64 // in which its elements are read, row by row
	transposed bool    // and then turned
}

// as is the weight in the dimensions of the view, not turned.
func (v view) as() *onnx.Weight {
	w := *v.Weight
	w.Dims = v.dims
	return &w
}

// constants are the values that depend on no input: weights and what nodes make
// of them alone.
func constants(m *onnx.Model) map[string]bool {
	known := map[string]bool{}
	for _, t := range m.Graph().GetInitializer() {
		known[t.GetName()] = true
	}
	for _, n := range m.Graph().GetNode() {
		if len(n.GetInput()) == 0 && n.GetOpType() != "Constant" {
			continue // random numbers
		}
		if slices.ContainsFunc(n.GetInput(), func(in string) bool { return in != "" && !known[in] }) {
			continue
		}
		for _, out := range n.GetOutput() {
			known[out] = true
		}
	}
	return known
}

// trace follows a constant value back to the weight that it is. Moves of data
// are folded into the view; where something else computes the value, obstacle
// says what.
func trace(m *onnx.Model, x *graph.Index, value string) (v view, obstacle string) {
	var path []*onnxpb.NodeProto
	for m.Weight(value) == nil {
		p := x.Producer[value]
		if p == nil || len(p.GetInput()) == 0 {
			return view{}, "its weight is not a float32 tensor"
		}
		if !onnx.Builtin(p) || !slices.Contains(followed, p.GetOpType()) {
			return view{}, "its weight is computed by " + graph.Label(p)
		}
		path = append(path, p)
		value = p.GetInput()[0]
	}
	w := m.Weight(value)
	if !w.Type.IsFloat() || w.Type.Bits() > 32 {
		return view{}, fmt.Sprintf("its weight %q is %s", w.Name, w.Type)
	}
	v, seen := view{Weight: w, dims: w.Dims}, w.Type
	for _, n := range slices.Backward(path) {
		if n.GetOpType() == "Cast" {
			seen = onnx.DType(onnx.AttrInt(n, "to", 0))
		}
		if obstacle = v.through(m, x, n); obstacle != "" {
			return view{}, obstacle
		}
	}
	if seen != onnx.Float32 {
		return view{}, computes + seen.String()
	}
	return v, ""
}

// computes begins the obstacle of a product that is not of float32.
const computes = "it computes in "

// followed are the operators that trace sees through.
var followed = []string{"Identity", "Cast", "Transpose", "Reshape"}

// through moves the view past a node.
func (v *view) through(m *onnx.Model, x *graph.Index, n *onnxpb.NodeProto) (obstacle string) {
	switch n.GetOpType() {
	case "Cast":
		// From a narrower float nothing is lost, and the levels are made of what is
		// stored. To a narrower one it would round.
		if to := onnx.DType(onnx.AttrInt(n, "to", 0)); to != onnx.Float32 {
			return fmt.Sprintf("its weight is rounded to %s by %s", to, graph.Label(n))
		}
	case "Transpose":
		perm := onnx.Attr(n, "perm").GetInts()
		if len(v.dims) != 2 || len(perm) > 0 && !slices.Equal(perm, []int64{0, 1}) && !slices.Equal(perm, []int64{1, 0}) {
			return fmt.Sprintf("its weight has rank %d in %s", len(v.dims), graph.Label(n))
		}
		if len(perm) == 0 || perm[0] == 1 {
			v.transposed = !v.transposed
		}
	case "Reshape":
		to, err := shapeOf(m, x, n, v.dims)
		if err != nil {
			return fmt.Sprintf("its weight's shape cannot be told behind %s: %v", graph.Label(n), err)
		}
		if v.transposed && !slices.Equal(to, []int64{v.dims[1], v.dims[0]}) {
			return "its weight is turned and then cut anew by " + graph.Label(n)
		}
		if !v.transposed {
			v.dims = to
		}
	}
	return ""
}

// shapeOf is what a Reshape with a constant shape makes of dims.
func shapeOf(m *onnx.Model, x *graph.Index, n *onnxpb.NodeProto, dims []int64) ([]int64, error) {
	if len(n.GetInput()) < 2 {
		return nil, errors.New("it has no shape")
	}
	to, err := ints(m, x, n.GetInput()[1])
	if err != nil {
		return nil, err
	}
	total, product, open := int64(1), int64(1), -1
	for _, d := range dims {
		total *= d
	}
	for i, d := range to {
		switch {
		case d == -1 && open < 0:
			open = i
			continue
		case d == 0 && i < len(dims) && onnx.AttrInt(n, "allowzero", 0) == 0:
			to[i] = dims[i]
		case d <= 0:
			return nil, fmt.Errorf("the shape is %v", to)
		}
		product *= to[i]
	}
	if open >= 0 && product == 0 {
		return nil, fmt.Errorf("the shape is %v", to)
	}
	if open >= 0 {
		to[open] = total / product
		product *= to[open]
	}
	if product != total {
		return nil, fmt.Errorf("%v has not the elements of %v", to, dims)
	}
	return to, nil
}

// ints are the values of a constant of int64 that can be a shape.
func ints(m *onnx.Model, x *graph.Index, name string) ([]int64, error) {
	const most = 16 // no shape has a higher rank
	var raw []byte
	if w := m.Weight(name); w != nil && w.Type == onnx.Int64 && w.Data.Size() <= 8*most {
		b, err := w.Bytes()
		if err != nil {
			return nil, err
		}
		raw = b
	} else if p := x.Producer[name]; p.GetOpType() == "Constant" {
		if a := onnx.Attr(p, "value_ints"); a != nil {
			return slices.Clone(a.GetInts()), nil
		}
		t := onnx.Attr(p, "value").GetT()
		if len(t.GetInt64Data()) > 0 {
			return slices.Clone(t.GetInt64Data()), nil
		}
		raw = t.GetRawData()
	}
	if len(raw) == 0 || len(raw)%8 != 0 || len(raw) > 8*most {
		return nil, fmt.Errorf("%q is no known shape", name)
	}
	values := make([]int64, len(raw)/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return values, nil
}

// obstacles are the products that the policy takes and that cannot be
// quantized, as one error of class input.
func obstacles(all []linearNode, p Policy) error {
	var errs []error
	for _, l := range all {
		if t := l.target; l.obstacle != "" && p.takes(t.Role) && !p.Exclude[t.Node] {
			errs = append(errs, fault.New(fault.Input, "quantizing node", t.Node, l.obstacle, remedy(l)))
		}
	}
	return errors.Join(errs...)
}

// remedy says what to do about a product's obstacle.
func remedy(l linearNode) string {
	if strings.HasPrefix(l.obstacle, computes) {
		return "quantize the float32 graph and convert the result to " + strings.TrimPrefix(l.obstacle, computes)
	}
	return "fold constants first (ONNX Runtime's basic optimisation does), or exclude the node by name"
}
