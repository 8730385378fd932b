package onnx

import "fmt"

// rules are the operators that [Infer] knows. Each reads o.in and appends to
// o.out, as the operator's page in ONNX's Operators.md says.
var rules = map[string]func(o *op) error{
	"Identity": same, "Relu": same, "Gelu": same, "Tanh": same, "Erf": same, "Sqrt": same, "Neg": same,
	"Exp": same, "Log": same, "Abs": same, "Sigmoid": same, "Reciprocal": same, "Not": same, "Clip": same,
	"Softmax": same, "LayerNormalization": same, "Trilu": same, "CumSum": same,

	"Add": binary2, "Sub": binary2, "Mul": binary2, "Div": binary2, "Pow": binary2, "Min": binary2, "Max": binary2,
	"Equal": compare2, "Less": compare2, "LessOrEqual": compare2, "Greater": compare2, "GreaterOrEqual": compare2,
	"And": compare2, "Or": compare2, "Xor": compare2, "Where": where,

	"Cast": cast, "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
	"MatMul": matMul, "Gemm": gemm, "Gather": gather,

	"Shape": shapeOf, "Range": rangeOf, "Concat": concat, "Split": split, "Slice": slice, "Transpose": transpose,
	"Reshape": reshape, "Unsqueeze": unsqueeze, "Squeeze": squeeze, "Expand": expand, "ConstantOfShape": constantOfShape,
}

// same is an output like the first input.
func same(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	out := o.make(x.t, x.dims)
	if o.GetOpType() == "Identity" {
		out.value = x.value
	}
	return nil
}

func binary2(o *op) error { return elementwise(o, 0) }

func compare2(o *op) error { return elementwise(o, Bool) }

// elementwise broadcasts two inputs; t is 0 where the type is theirs.
func elementwise(o *op, t DType) error {
	a, err := o.need(0)
	if err != nil {
		return err
	}
	b, err := o.need(1)
	if err != nil {
		return err
	}
	dims, err := broadcast(a.dims, b.dims)
	if err != nil {
		return err
	}
	if t == 0 {
		t = a.t
	}
	if o.GetOpType() != "Pow" && a.t != b.t {
		return fmt.Errorf("its inputs are %s and %s", a.t, b.t)
	}
	o.make(t, dims).value = arithmetic(o.GetOpType(), a.value, b.value)
	return nil
}

// arithmetic follows the values of shapes; nil where it cannot.
func arithmetic(name string, a, b []sum) []sum {
	if len(a) == 0 || len(b) == 0 || len(a) != len(b) && len(a) != 1 && len(b) != 1 {
		return nil
	}
	out := make([]sum, max(len(a), len(b)))
	for i := range out {
		x, y := a[i%len(a)], b[i%len(b)]
		switch name {
		case "Add":
			out[i] = x.plus(y, 1)
		case "Sub":
			out[i] = x.plus(y, -1)
		case "Mul":
			out[i] = x.times(y)
		default:
			return nil
		}
	}
	return out
}

// broadcast is the shape of an elementwise operator's output. Of two different
// symbols either may be 1, so their common size is not known.
func broadcast(a, b []sum) ([]sum, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]sum{}, a...)
	for i, y := range b {
		k := len(a) - len(b) + i
		x := a[k]
		n, xFixed := x.fixed()
		m, yFixed := y.fixed()
		switch {
		case x.is(1):
			out[k] = y
		case y.is(1), x.equal(y), xFixed && !yFixed:
		case yFixed && !xFixed:
			out[k] = y
		case xFixed && yFixed:
			return nil, fmt.Errorf("sizes %d and %d do not match", n, m)
		default:
			out[k] = sum{unknown: true}
		}
	}
	return out, nil
}

func where(o *op) error {
	c, err := o.need(0)
	if err != nil {
		return err
	}
	a, err := o.need(1)
	if err != nil {
		return err
	}
	b, err := o.need(2)
	if err != nil {
		return err
	}
	dims, err := broadcast(a.dims, b.dims)
	if err == nil {
		dims, err = broadcast(c.dims, dims)
	}
	o.make(a.t, dims)
	return err
}

func cast(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	out := o.make(DType(AttrInt(o.NodeProto, "to", 0)), x.dims)
	if out.t == Int64 || out.t == Int32 {
		out.value = x.value
	}
	return nil
}

func quantize(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	t := DType(AttrInt(o.NodeProto, "output_dtype", int64(Uint8)))
	if o.has(2) {
		t = o.in[2].t
	}
	o.make(t, x.dims)
	return nil
}

func dequantize(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	scale, err := o.need(1)
	if err != nil {
		return err
	}
	o.make(DType(AttrInt(o.NodeProto, "output_dtype", int64(scale.t))), x.dims)
	return nil
}

func matMul(o *op) error {
	a, err := o.need(0)
	if err != nil {
		return err
	}
	b, err := o.need(1)
	if err != nil {
		return err
	}
	p, q := a.rank(), b.rank()
	if p < 2 || q < 2 {
		return fmt.Errorf("ranks %d and %d", p, q)
	}
	if err := inner(a.dims[p-1], b.dims[q-2]); err != nil {
		return err
	}
	dims, err := broadcast(a.dims[:p-2], b.dims[:q-2])
	o.make(a.t, append(dims, a.dims[p-2], b.dims[q-1]))
	return err
}

// inner holds the dimension that a product sums over to itself.
func inner(a, b sum) error {
	n, ok := a.fixed()
	m, ok2 := b.fixed()
	if ok && ok2 && n != m {
		return fmt.Errorf("inner sizes %d and %d differ", n, m)
	}
	return nil
}

func gemm(o *op) error {
	a, err := o.need(0)
	if err != nil {
		return err
	}
	b, err := o.need(1)
	if err != nil {
		return err
	}
	if a.rank() != 2 || b.rank() != 2 {
		return fmt.Errorf("ranks %d and %d", a.rank(), b.rank())
	}
	i, j := AttrInt(o.NodeProto, "transA", 0)&1, 1-AttrInt(o.NodeProto, "transB", 0)&1
	o.make(a.t, []sum{a.dims[i], b.dims[j]})
	return inner(a.dims[1-i], b.dims[1-j])
}

func gather(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	at, err := o.need(1)
	if err != nil {
		return err
	}
	axis, err := x.axis(AttrInt(o.NodeProto, "axis", 0))
	if err != nil {
		return err
	}
	dims := append([]sum{}, x.dims[:axis]...)
	dims = append(append(dims, at.dims...), x.dims[axis+1:]...)
	out := o.make(x.t, dims)
	if x.rank() == 1 && x.value != nil && at.value != nil {
		out.value = picked(x.value, at.value)
	}
	return nil
}

// picked is the elements of values at constant places; nil where one is not.
func picked(values, places []sum) []sum {
	out := make([]sum, len(places))
	for i, p := range places {
		k, ok := p.fixed()
		if k < 0 {
			k += int64(len(values))
		}
		if !ok || k < 0 || k >= int64(len(values)) {
			return nil
		}
		out[i] = values[k]
	}
	return out
}
