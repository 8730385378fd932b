package shape

import (
	"fmt"

	"github.com/trtforge/trtforge/onnx"
)

// contribDomain is that of ONNX Runtime's own operators.
const contribDomain = "com.microsoft"

// contrib is the rule of an operator of ONNX Runtime (docs/ContribOperators.md);
// nil where it is not known. onnxruntime-genai and the optimizer write these.
func contrib(op string) rule {
	switch op {
	case "Gelu", "FastGelu", "QuickGelu", "BiasGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
		"SimplifiedLayerNormalization":
		return likeFirst
	case "RotaryEmbedding":
		return rotaryContrib
	case "MatMulNBits":
		return matMulBits
	case "GroupQueryAttention":
		return groupQuery
	case "MultiHeadAttention":
		return multiHead
	}
	return nil
}

// likeFirst gives output 0 the shape of input 0, and so the sum that is output 3
// of the skipping normalizations.
func likeFirst(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	if len(s.out) > 3 {
		s.give(3, x.t, x.dims)
	}
	return nil
}

// rotaryContrib has positions as [batch, length], or the first one alone.
func rotaryContrib(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	if !s.has(1) || len(s.in[1].dims) != 2 || len(x.dims) < 3 || len(x.dims) > 4 {
		return nil
	}
	if _, err := s.unify(x.dims[0], s.in[1].dims[0]); err != nil {
		return err
	}
	length := x.dims[1]
	if len(x.dims) == 4 {
		length = x.dims[2]
	}
	_, err := s.unify(length, s.in[1].dims[1])
	return err
}

func matMulBits(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if n := len(x.dims); n > 0 {
		dims := append(open(0), x.dims[:n-1]...)
		s.give(0, x.t, append(dims, constant(onnx.AttrInt(s.NodeProto, "N", 0))))
		_, err := s.unify(x.dims[n-1], constant(onnx.AttrInt(s.NodeProto, "K", 0)))
		return err
	}
	return nil
}

// groupQuery has query, key, value as [batch, seq, heads * size], key and value
// left out where the query holds all three, and the cache as [batch, key heads,
// length, size]. How long the present is depends on whether it shares its buffer
// with the past, which the graph does not say.
func groupQuery(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	heads, groups := onnx.AttrInt(s.NodeProto, "num_heads", 0), onnx.AttrInt(s.NodeProto, "kv_num_heads", 0)
	if len(x.dims) != 3 || heads <= 0 || groups <= 0 || groups > heads || heads > maxInts {
		return nil
	}
	size := x.dims[2].over(constant(heads))
	if !s.has(1) {
		size = x.dims[2].over(constant(heads + 2*groups))
		s.give(0, x.t, []expr{x.dims[0], x.dims[1], size.times(constant(heads))})
	}
	for i := 1; i < 3; i++ {
		if !s.has(i + 2) {
			continue
		}
		past := s.in[i+2]
		if len(past.dims) != 4 {
			return fmt.Errorf("a cache of rank %d", len(past.dims))
		}
		var err error
		for axis, want := range map[int]expr{0: x.dims[0], 1: constant(groups), 3: size} {
			if _, e := s.unify(past.dims[axis], want); e != nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
		s.give(i, past.t, []expr{x.dims[0], constant(groups), {}, size})
	}
	return nil
}

// multiHead has an output like the query, as long as the value is wide, and the
// present at the end of past and new keys: [batch, heads, length, size].
func multiHead(s *site) error {
	q := s.take(0)
	s.give(0, q.t, nil)
	if len(q.dims) != 3 {
		return nil
	}
	s.give(0, q.t, q.dims)
	heads := onnx.AttrInt(s.NodeProto, "num_heads", 0)
	for i := 1; i < 3 && heads > 0; i++ {
		if !s.has(i) || len(s.in[i].dims) != 3 {
			continue
		}
		x := s.in[i]
		if i == 2 {
			s.give(0, q.t, []expr{q.dims[0], q.dims[1], x.dims[2]})
		}
		dims := []expr{q.dims[0], constant(heads), x.dims[1], x.dims[2].over(constant(heads))}
		if err := s.grow(i, 5+i, dims); err != nil {
			return err
		}
	}
	return nil
}

// grow is output i: what is new, behind the past that is input from. Both are
// [batch, heads, length, size].
func (s *site) grow(i, from int, dims []expr) error {
	t := s.take(0).t
	if !s.has(from) || len(s.in[from].dims) != 4 {
		s.give(i, t, dims)
		return nil
	}
	past := s.in[from]
	for _, axis := range []int{0, 1, 3} {
		if _, err := s.unify(past.dims[axis], dims[axis]); err != nil {
			return err
		}
	}
	s.give(i, past.t, []expr{dims[0], dims[1], past.dims[2].plus(dims[2]), dims[3]})
	return nil
}
