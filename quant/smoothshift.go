package quant

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/trtforge/trtforge/onnx"
)

// biases tells whether every product of a group has a constant added, which can
// take what a shift of its input changes.
func (s *smoother) biases(g *group) bool {
	for _, i := range g.users {
		if n, _ := bias(s.m, s.x, s.linears[i]); n == nil {
			return false
		}
	}
	return true
}

// shiftBias adds to a product's bias what it loses by its input's shift, c·W.
func (s *smoother) shiftBias(l linearNode, c []float32) {
	n, input := bias(s.m, s.x, l)
	b := held(s.m, s.x, n.GetInput()[input])
	w := *s.m.Weight(l.target.Weight)
	w.Dims = l.dims
	shifted := *b
	shifted.Name = s.used.Take(b.Name + "/shifted")
	shifted.Data = onnx.Generated{Length: b.Data.Size(), Write: func(out io.Writer) error {
		values, err := b.Float32s()
		if err != nil {
			return err
		}
		add, err := against(&w, 1-l.target.Axis, c, func(v float32, _ int64) float64 { return float64(v) })
		if err != nil {
			return err
		}
		var buf []byte
		for k, v := range values {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(float32(float64(v)+add[k])))
		}
		_, err = out.Write(buf)
		return err
	}}
	s.m.SetWeight(&shifted)
	n.Input[input] = shifted.Name
}
