package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// linear operators multiply, normalise and quantize.
func linear(op string) rule {
	switch op {
	case "MatMul":
		return matMul
	case "MatMulInteger":
		return func(s *site) error { return product2(s, onnx.Int32) }
	case "Gemm":
		return gemm
	case "LayerNormalization":
		return layerNormalization
	case "QuantizeLinear":
		return quantizeLinear
	case "DequantizeLinear":
		return dequantizeLinear
	case "DynamicQuantizeLinear":
		return dynamicQuantize
	}
	return nil
}

func matMul(s *site) error {
	t, err := s.common(0, 1)
	if err != nil {
		return err
	}
	return product2(s, t)
}

// product2 is numpy's matmul.
func product2(s *site, t onnx.DType) error {
	a, b := s.take(0).dims, s.take(1).dims
	s.give(0, t, nil)
	if a == nil || b == nil {
		return nil
	}
	if len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("a factor is a scalar")
	}
	var rows, columns []expr
	inner := b[0]
	stackA, stackB := []expr{}, []expr{}
	if len(a) > 1 {
		rows, stackA = a[len(a)-2:len(a)-1], a[:len(a)-2]
	}
	if len(b) > 1 {
		inner, columns, stackB = b[len(b)-2], b[len(b)-1:], b[:len(b)-2]
	}
	if _, err := s.unify(a[len(a)-1], inner); err != nil {
		return err
	}
	stack, err := s.broadcast(stackA, stackB)
	if err != nil {
		return err
	}
	s.give(0, t, append(append(append([]expr{}, stack...), rows...), columns...))
	return nil
}

func gemm(s *site) error {
	t, err := s.common(seq(len(s.in))...)
	if err != nil {
		return err
	}
	a, b := transposed(s, 0, "transA"), transposed(s, 1, "transB")
	dims := open(2)
	if len(a) == 2 {
		dims[0] = a[0]
	}
	if len(b) == 2 {
		dims[1] = b[1]
	}
	if len(a) == 2 && len(b) == 2 {
		if _, err := s.unify(a[1], b[0]); err != nil {
			return err
		}
	}
	s.give(0, t, dims)
	return nil
}

func transposed(s *site, i int, flag string) []expr {
	d := s.take(i).dims
	if onnx.AttrInt(s.NodeProto, flag, 0) != 0 {
		d = slices.Clone(d)
		slices.Reverse(d)
	}
	return d
}

// layerNormalization may give mean and inverse deviation, too, in the type that
// stash_type says.
func layerNormalization(s *site) error {
	x := s.take(0)
	if _, err := s.common(seq(len(s.in))...); err != nil {
		return err
	}
	s.give(0, x.t, x.dims)
	var kept []expr
	if x.dims != nil {
		axis, err := s.axis(-1, len(x.dims))
		if err != nil {
			return err
		}
		for _, in := range s.in[1:] {
			if in != nil && in.dims != nil {
				if wide, err := s.broadcast(x.dims, in.dims); err != nil || len(wide) != len(x.dims) {
					return fmt.Errorf("weights of shape %v do not fit %v", in.dims, x.dims)
				}
			}
		}
		kept = slices.Clone(x.dims)
		for i := axis; i < len(kept); i++ {
			kept[i] = constant(1)
		}
	}
	stash := onnx.DType(onnx.AttrInt(s.NodeProto, "stash_type", int64(onnx.Float32)))
	s.give(1, stash, kept)
	s.give(2, stash, kept)
	return nil
}

// quantizeLinear has the type of the zero point, or that of output_dtype.
func quantizeLinear(s *site) error {
	t := onnx.DType(onnx.AttrInt(s.NodeProto, "output_dtype", 0))
	switch {
	case s.has(2):
		t = s.take(2).t
	case t == 0:
		t = onnx.Uint8
	}
	s.give(0, t, s.take(0).dims)
	return scales(s)
}

// dequantizeLinear has the scale's type.
func dequantizeLinear(s *site) error {
	t := onnx.DType(onnx.AttrInt(s.NodeProto, "output_dtype", 0))
	if t == 0 {
		t = s.take(1).t
	}
	s.give(0, t, s.take(0).dims)
	if _, err := s.common(0, 2); s.has(2) && err != nil {
		return err
	}
	return scales(s)
}

// scales holds a scale for each slice along an axis to that axis.
func scales(s *site) error {
	x, scale := s.take(0).dims, s.take(1).dims
	if len(scale) != 1 || x == nil || onnx.AttrInt(s.NodeProto, "block_size", 0) != 0 || scale[0].is(1) {
		return nil
	}
	axis, err := s.axis(1, len(x))
	if err != nil {
		return err
	}
	if differ(x[axis], scale[0]) {
		return fmt.Errorf("%s scales for axis %d of size %s", scale[0], axis, x[axis])
	}
	return nil
}

func dynamicQuantize(s *site) error {
	s.give(0, onnx.Uint8, s.take(0).dims)
	s.give(1, onnx.Float32, []expr{})
	s.give(2, onnx.Uint8, []expr{})
	return nil
}
