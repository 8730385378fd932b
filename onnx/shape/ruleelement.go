package shape

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// elementwise operators keep the shape of their input or broadcast those of
// several.
func elementwise(op string) rule {
	switch op {
	case "Identity":
		return identity
	case "Sqrt", "Tanh", "Erf", "Gelu", "Relu", "Neg", "Exp", "Log", "Abs", "Sigmoid", "Sin", "Cos", "Floor", "Ceil",
		"Round", "Reciprocal", "Softplus", "Sign", "LeakyRelu", "Elu", "Selu", "HardSigmoid", "HardSwish", "Clip", "Trilu",
		"CumSum", "Softmax", "LogSoftmax", "Not", "BitwiseNot", "RMSNormalization", "Swish":
		return same
	case "Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Sum", "Mean", "And", "Or", "Xor",
		"BitwiseAnd", "BitwiseOr", "BitwiseXor", "PRelu":
		return combine
	case "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual":
		return compareInputs
	case "IsNaN", "IsInf":
		return asBool
	case "Pow":
		return power
	case "Where":
		return where
	case "Cast":
		return cast
	case "CastLike":
		return func(s *site) error { return castTo(s, s.take(1).t) }
	case "Dropout":
		return dropout
	}
	return nil
}

func same(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	if s.GetOpType() == "Neg" && x.ints != nil {
		s.follow(each(x.ints, func(e expr) expr { return e.times(constant(-1)) }))
	}
	return nil
}

func identity(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	s.follow(x.ints)
	return nil
}

func asBool(s *site) error {
	s.give(0, onnx.Bool, s.take(0).dims)
	return nil
}

func dropout(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	s.give(1, onnx.Bool, x.dims)
	return nil
}

// spread is the shape that all inputs, at least so many, broadcast to.
func spread(s *site, inputs int) ([]expr, error) {
	dims := s.take(0).dims
	for i := 1; i < max(len(s.in), inputs); i++ {
		var err error
		if dims, err = s.broadcast(dims, s.take(i).dims); err != nil {
			return nil, err
		}
	}
	return dims, nil
}

func combine(s *site) error {
	t, err := s.common(seq(len(s.in))...)
	if err != nil {
		return err
	}
	inputs := 2
	switch s.GetOpType() {
	case "Min", "Max", "Sum", "Mean":
		inputs = 1
	}
	dims, err := spread(s, inputs)
	if err != nil {
		return err
	}
	s.give(0, t, dims)
	if len(s.in) == 2 && t != onnx.Bool {
		s.follow(pairs(s.take(0).ints, s.take(1).ints, arithmetic(s.GetOpType())))
	}
	return nil
}

func compareInputs(s *site) error {
	if _, err := s.common(0, 1); err != nil {
		return err
	}
	dims, err := spread(s, 2)
	if err != nil {
		return err
	}
	s.give(0, onnx.Bool, dims)
	if s.GetOpType() == "Equal" {
		s.follow(pairs(s.take(0).ints, s.take(1).ints, equality))
	}
	return nil
}

func power(s *site) error {
	dims, err := spread(s, 2)
	if err != nil {
		return err
	}
	s.give(0, s.take(0).t, dims)
	return nil
}

func where(s *site) error {
	t, err := s.common(1, 2)
	if err != nil {
		return err
	}
	dims, err := spread(s, 3)
	if err != nil {
		return err
	}
	s.give(0, t, dims)
	choice, ok := s.take(0).fixed()
	if !ok {
		return nil
	}
	// Which of the two a place takes: 1 and 0 are factors of them.
	yes := each(constants(choice), func(e expr) expr { return constant(truth(!e.is(0))) })
	no := each(yes, func(e expr) expr { return constant(1).minus(e) })
	s.follow(pairs(pairs(yes, s.take(1).ints, expr.times), pairs(no, s.take(2).ints, expr.times), expr.plus))
	return nil
}

func cast(s *site) error { return castTo(s, onnx.DType(onnx.AttrInt(s.NodeProto, "to", 0))) }

func castTo(s *site, t onnx.DType) error {
	x := s.take(0)
	s.give(0, t, x.dims)
	switch t {
	case onnx.Int64, onnx.Int32:
		s.follow(x.ints)
	case onnx.Bool:
		if n, ok := x.fixed(); ok {
			s.follow(each(constants(n), func(e expr) expr { return constant(truth(!e.is(0))) }))
		}
	}
	return nil
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// equality is 1, 0 or not known.
func equality(a, b expr) expr {
	d := a.minus(b)
	switch {
	case d.is(0):
		return constant(1)
	case d.atLeast(1) || b.minus(a).atLeast(1) || differ(a, b):
		return constant(0)
	}
	return expr{}
}

// arithmetic is an operator on two integers; nil where it is not followed.
func arithmetic(op string) func(a, b expr) expr {
	switch op {
	case "Add", "Sum":
		return expr.plus
	case "Sub":
		return expr.minus
	case "Mul":
		return expr.times
	case "Div":
		return divide
	case "Min":
		return least
	case "Max":
		return func(a, b expr) expr {
			return least(a.times(constant(-1)), b.times(constant(-1))).times(constant(-1))
		}
	}
	return nil
}

// divide truncates; ONNX leaves open which way negative numbers go.
func divide(a, b expr) expr {
	x, fixed := a.value()
	y, by := b.value()
	if fixed && by && x >= 0 && y > 0 {
		return constant(x / y)
	}
	return a.over(b)
}

// least is the smaller one, where that is the same for all symbols.
func least(a, b expr) expr {
	switch {
	case b.minus(a).atLeast(0):
		return a
	case a.minus(b).atLeast(0):
		return b
	}
	return expr{}
}

func each(all []expr, f func(expr) expr) []expr {
	out := slices.Clone(all)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}

// pairs applies f to the elements of two lists, of which one may have a single
// element for all of the other's; nil where that is not known.
func pairs(a, b []expr, f func(a, b expr) expr) []expr {
	n := max(len(a), len(b))
	if a == nil || b == nil || f == nil || len(a) != n && len(a) != 1 || len(b) != n && len(b) != 1 {
		return nil
	}
	out := make([]expr, n)
	for i := range out {
		out[i] = f(a[min(i, len(a)-1)], b[min(i, len(b)-1)])
	}
	return out
}
