package shape

import (
	"fmt"

	"github.com/trtforge/trtforge/onnx"
)

// vision operators look at neighbourhoods. Their spatial sizes are not followed,
// only what they fix: batch and channels. Attention of opset 23 and what stands
// beside it are here, too, since they are as rare in graphs for TensorRT.
func vision(op string) rule {
	switch op {
	case "Conv":
		return conv
	case "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "SimplifiedLayerNormalization":
		return likeFirst
	case "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool":
		return pool
	case "Attention":
		return attention
	case "RotaryEmbedding":
		return rotaryEmbedding
	}
	return nil
}

// conv has the input as [batch, channels, sizes...] and the weight as [new
// channels, channels / groups, sizes...].
func conv(s *site) error {
	x, w := s.take(0), s.take(1)
	s.give(0, x.t, nil)
	if len(x.dims) < 2 || len(w.dims) != len(x.dims) {
		return nil
	}
	if _, err := s.unify(x.dims[1], w.dims[1].times(constant(onnx.AttrInt(s.NodeProto, "group", 1)))); err != nil {
		return err
	}
	dims := open(len(x.dims))
	dims[0], dims[1] = x.dims[0], w.dims[0]
	s.give(0, x.t, dims)
	return nil
}

func pool(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if len(x.dims) < 2 {
		return nil
	}
	dims := open(len(x.dims))
	dims[0], dims[1] = x.dims[0], x.dims[1]
	for i := 2; i < len(dims) && s.GetOpType()[0] == 'G'; i++ {
		dims[i] = constant(1)
	}
	s.give(0, x.t, dims)
	return nil
}

// attention of opset 23 takes [batch, heads, length, size] or [batch, length,
// heads * size].
func attention(s *site) error {
	q, k, v := s.take(0), s.take(1), s.take(2)
	s.give(0, q.t, nil)
	heads := [3]int64{onnx.AttrInt(s.NodeProto, "q_num_heads", 0), onnx.AttrInt(s.NodeProto, "kv_num_heads", 0), onnx.AttrInt(s.NodeProto, "kv_num_heads", 0)}
	var parts [3][]expr
	for i, x := range []*value{q, k, v} {
		switch {
		case len(x.dims) == 4:
			parts[i] = x.dims
		case len(x.dims) == 3 && heads[i] > 0:
			parts[i] = []expr{x.dims[0], constant(heads[i]), x.dims[1], x.dims[2].over(constant(heads[i]))}
		case x.dims == nil:
			return nil
		default:
			return fmt.Errorf("input %d of rank %d", i, len(x.dims))
		}
	}
	out := []expr{parts[0][0], parts[0][1], parts[0][2], parts[2][3]}
	if len(q.dims) == 3 {
		out = []expr{parts[0][0], parts[0][2], parts[0][1].times(parts[2][3])}
	}
	s.give(0, q.t, out)
	total := parts[1][2]
	if s.has(4) && len(s.in[4].dims) == 4 {
		total = total.plus(s.in[4].dims[2])
	}
	if s.has(3) && len(s.in[3].dims) > 1 && s.infer.trace != nil {
		s.infer.trace.stretched(s.in[3].dims[len(s.in[3].dims)-1], total)
	}
	for _, same := range [][2]expr{{parts[0][0], parts[1][0]}, {parts[1][0], parts[2][0]}, {parts[1][2], parts[2][2]}} {
		if _, err := s.unify(same[0], same[1]); err != nil {
			return err
		}
	}
	if err := s.grow(1, 4, parts[1]); err != nil {
		return err
	}
	return s.grow(2, 5, parts[2])
}

// rotaryEmbedding turns [batch, heads, length, size] or [batch, length, heads *
// size] by cosines of [batch, length, size / 2], or of [positions, size / 2] that
// position_ids select from.
func rotaryEmbedding(s *site) error {
	x := s.take(0)
	s.give(0, x.t, x.dims)
	with := 1
	if s.has(3) {
		with = 3
	}
	if !s.has(with) || len(s.in[with].dims) < 2 || len(x.dims) < 3 || len(x.dims) > 4 {
		return nil
	}
	if _, err := s.unify(x.dims[0], s.in[with].dims[0]); err != nil && with == 3 {
		return err // one row of cosines may serve all
	}
	length := x.dims[1]
	if len(x.dims) == 4 {
		length = x.dims[2]
	}
	_, err := s.unify(length, s.in[with].dims[1])
	return err
}
