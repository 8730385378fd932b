package shape

import (
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Bounds of what is followed through a graph.
const (
	maxInts = 1 << 10 // elements of an integer tensor
	maxRank = 64
)

// value is what is known of a tensor before the graph runs.
type value struct {
	t     onnx.DType // 0 where not known
	dims  []expr     // nil where the rank is not known; a scalar's are empty
	ints  []expr     // the elements of a small integer or bool tensor of rank 0 or 1; nil where not known
	maker string     // why it has no type

	// Of integers, in a trace: none is above or at top. Where they are indices of
	// several axes in a row, tops has the bound of each.
	top  expr
	tops []expr
}

func fromInfo(info *onnxpb.ValueInfoProto) *value {
	t, dims := onnx.TypeOf(info)
	v := &value{t: t}
	if dims == nil || t == 0 {
		return v
	}
	v.dims = make([]expr, len(dims))
	for i, d := range dims {
		e := constant(d.Size)
		if d.Symbol != "" {
			e = parseExpr(d.Symbol)
		}
		if n, ok := e.value(); !ok || n >= 0 {
			v.dims[i] = e
		}
	}
	return v
}

func fromWeight(w *onnx.Weight) *value {
	v := &value{t: w.Type, dims: constants(w.Dims)}
	width := w.Type.Bits() / 8
	if w.Data == nil || len(w.Dims) > 1 || w.Data.Size() > maxInts*width {
		return v
	}
	switch w.Type {
	case onnx.Int64, onnx.Int32, onnx.Bool:
	default:
		return v
	}
	b, err := w.Bytes()
	if err != nil {
		return v // who needs the bytes will meet the error
	}
	v.ints = []expr{}
	for ; len(b) >= int(width); b = b[width:] {
		v.ints = append(v.ints, constant(number64(b, w.Type)))
	}
	return v
}

func number64(b []byte, t onnx.DType) int64 {
	switch t {
	case onnx.Int64:
		return int64(binary.LittleEndian.Uint64(b))
	case onnx.Int32:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(b[0])
}

// fromTensor is a tensor of a Constant, or of a subgraph.
func fromTensor(t *onnxpb.TensorProto) (*value, error) {
	w, err := onnx.Constant(t)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.GetName(), err)
	}
	return fromWeight(w), nil
}

func constants(n []int64) []expr {
	all := make([]expr, len(n))
	for i := range n {
		all[i] = constant(n[i])
	}
	return all
}

// fixed is the elements where all are constants.
func (v *value) fixed() ([]int64, bool) {
	if v == nil || v.ints == nil {
		return nil, false
	}
	all := make([]int64, len(v.ints))
	for i, e := range v.ints {
		n, ok := e.value()
		if !ok {
			return nil, false
		}
		all[i] = n
	}
	return all, true
}

// scalar is the only element.
func (v *value) scalar() expr {
	if v == nil || len(v.ints) != 1 {
		return expr{}
	}
	return v.ints[0]
}

// complete takes over what is stated of a value and was not inferred.
func (v *value) complete(stated *onnxpb.ValueInfoProto) {
	if stated == nil {
		return
	}
	s := fromInfo(stated)
	switch {
	case v.t == 0:
		v.t, v.dims = s.t, s.dims
	case v.dims == nil:
		v.dims = s.dims
	case compatible(v.dims, s.dims):
		v.dims = slices.Clone(v.dims)
		for i, d := range s.dims {
			_, ours := v.dims[i].value()
			_, theirs := d.value()
			if !v.dims[i].known || theirs && !ours {
				v.dims[i] = d
			}
		}
	}
}

// info states the value; what else was stated of it stays.
func (v *value) info(name string, stated *onnxpb.ValueInfoProto) *onnxpb.ValueInfoProto {
	out := &onnxpb.ValueInfoProto{Name: name}
	if stated != nil {
		out = proto.Clone(stated).(*onnxpb.ValueInfoProto)
	}
	if v.t == 0 {
		return out
	}
	tensor := &onnxpb.TypeProto_Tensor{ElemType: int32(v.t)}
	if v.dims != nil {
		tensor.Shape = &onnxpb.TensorShapeProto{}
		for _, d := range v.dims {
			tensor.Shape.Dim = append(tensor.Shape.Dim, d.dimension())
		}
	}
	out.Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}, Denotation: out.GetType().GetDenotation()}
	return out
}

func (e expr) dimension() *onnxpb.TensorShapeProto_Dimension {
	d := &onnxpb.TensorShapeProto_Dimension{}
	if n, ok := e.value(); ok {
		d.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}
	} else if e.known {
		d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: e.String()}
	}
	return d
}

// differ tells whether a and b are known not to be the same.
func differ(a, b expr) bool {
	n, ok := a.minus(b).value()
	return ok && n != 0
}

// unify is a dimension that both describe. Of two symbols that differ the first
// is as good as the other, but a size says more.
func (s *site) unify(a, b expr) (expr, error) {
	if differ(a, b) {
		return expr{}, fmt.Errorf("dimensions %s and %s differ", a, b)
	}
	if s.infer.trace != nil {
		s.infer.trace.equal(a, b)
	}
	if _, ok := b.value(); !a.known || ok {
		return b, nil
	}
	return a, nil
}

// broadcast is the shape of an elementwise operation on a and b; nil where one
// is not known.
func (s *site) broadcast(a, b []expr) ([]expr, error) {
	if a == nil || b == nil {
		return nil, nil
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i := range b {
		d, err := s.stretch(a[len(a)-len(b)+i], b[i])
		if err != nil {
			return nil, err
		}
		out[len(a)-len(b)+i] = d
	}
	return out, nil
}

// stretch is one dimension of it. A symbol may be 1, so two different ones say
// nothing; a trace takes them to be the same, and says so.
func (s *site) stretch(a, b expr) (expr, error) {
	x, aFixed := a.value()
	y, bFixed := b.value()
	switch {
	case a.is(1) || a.equal(b):
		return b, nil
	case b.is(1):
		return a, nil
	case aFixed && bFixed && x != y:
		return expr{}, fmt.Errorf("dimensions %d and %d differ", x, y)
	case aFixed:
		return a, nil
	case bFixed:
		return b, nil
	case s.infer.trace != nil && a.known && b.known:
		s.infer.trace.stretched(a, b)
		return a, nil
	}
	return expr{}, nil
}

// product is the number of elements.
func product(dims []expr) expr {
	n := constant(1)
	for _, d := range dims {
		n = n.times(d)
	}
	return n
}

func seq(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
