package quant

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Rounded weights shift the mean of a product's results by E[x]·(W - Wq). Biases
// stay as they are but behind an input that smoothing has centred: its mean is far
// from zero in all channels alike, and would carry every weight's rounding error
// into the result. There the constant that is added takes the shift (Nagel et al.,
// ICCV 2019, section 4.2).

// correct gives the bias of a product with a centred input what its rounded
// weight loses of the mean.
func (q *quantizer) correct(l linearNode, scale []float32) {
	if q.policy.WeightOnly || q.table == nil {
		return
	}
	r := q.table.Ranges[l.target.Activation]
	if c := r.Channels; !r.Centred || c == nil || int64(len(c.Mean)) != l.target.In {
		return
	}
	n, input := bias(q.m, q.x, l)
	if n == nil {
		return
	}
	b, w := held(q.m, q.x, n.GetInput()[input]), l.as()
	corrected := *b
	corrected.Name = q.used.Take(b.Name + "/corrected")
	corrected.Data = onnx.Generated{Length: b.Data.Size(), Write: func(out io.Writer) error {
		sums, err := b.Float32s()
		if err != nil {
			return err
		}
		add, err := against(w, 1-l.target.Axis, r.Channels.Mean, func(v float32, k int64) float64 {
			return float64(v) - float64(level(v/scale[k]))*float64(scale[k])
		})
		if err != nil {
			return err
		}
		var buf []byte
		for k, v := range sums {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(float32(float64(v)+add[k])))
		}
		_, err = out.Write(buf)
		return err
	}}
	q.m.SetWeight(&corrected)
	n.Input[input] = corrected.Name
}

// bias is the node that adds a constant to each output channel of a product, and
// which of its inputs that is; nil where there is none.
func bias(m *onnx.Model, x *graph.Index, l linearNode) (*onnxpb.NodeProto, int) {
	fits := func(n *onnxpb.NodeProto, i int) bool {
		w := held(m, x, n.GetInput()[i])
		return w != nil && w.Type == onnx.Float32 && slices.Equal(w.Dims, []int64{l.target.Out})
	}
	if in := l.node.GetInput(); l.node.GetOpType() == "Gemm" {
		if len(in) > 2 && in[2] != "" && fits(l.node, 2) && plainGemm(l.node) {
			return l.node, 2
		}
		return nil, 0
	}
	product := l.node.GetOutput()[0]
	users := x.Consumers[product]
	if len(users) != 1 || x.Outputs[product] || users[0].GetOpType() != "Add" {
		return nil, 0
	}
	for i := range 2 {
		if users[0].GetInput()[1-i] == product && fits(users[0], i) {
			return users[0], i
		}
	}
	return nil, 0
}

// held is the weight that a value is, as it is: PyTorch's exporter stores equal
// constants once and lays an Identity to the others. nil where it is computed.
func held(m *onnx.Model, x *graph.Index, value string) *onnx.Weight {
	for m.Weight(value) == nil {
		p := x.Producer[value]
		if p == nil || p.GetOpType() != "Identity" {
			return nil
		}
		value = p.GetInput()[0]
	}
	return m.Weight(value)
}

// against are, of a weight whose input channels stand on an axis, the sums
// Σ_j by_j·of(w_jk, k) of each output channel k.
func against(w *onnx.Weight, inputs int, by []float32, of func(v float32, k int64) float64) ([]float64, error) {
	sums := make([]float64, w.Dims[1-inputs])
	return sums, w.Each(func(base int64, values []float32) error {
		lines(base, w.Dims[1], values, func(row, col int64, line []float32) {
			for i, v := range line {
				j, k := row, col+int64(i)
				if inputs == 1 {
					j, k = k, j
				}
				sums[k] += float64(by[j]) * of(v, k)
			}
		})
		return nil
	})
}
