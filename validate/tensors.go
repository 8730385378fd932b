package validate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Quantizer is where a Q/DQ graph rounds an activation: one scale for a tensor.
type Quantizer struct {
	Tensor string  `json:"tensor"` // the float value that is rounded
	Scale  float64 `json:"scale"`  // a level's worth
}

// Product is a matrix product whose weight comes dequantized.
type Product struct {
	Tensor string `json:"tensor"` // its output
	Node   string `json:"node"`
	Weight string `json:"weight"` // the initializer that holds the weight's levels
}

// Quantized finds what a Q/DQ graph rounds, in graph order, each tensor once.
func Quantized(m *onnx.Model) (quantizers []Quantizer, products []Product, err error) {
	dequantized, seen := map[string]string{}, map[string]bool{}
	for _, n := range m.Graph().GetNode() {
		switch op := n.GetOpType(); {
		case op == "QuantizeLinear":
			q, ok, err := quantizerOf(m, n)
			if err != nil {
				return nil, nil, err
			}
			if ok && !seen[q.Tensor] {
				seen[q.Tensor] = true
				quantizers = append(quantizers, q)
			}
		case op == "DequantizeLinear" && m.Weight(n.GetInput()[0]) != nil:
			dequantized[n.GetOutput()[0]] = n.GetInput()[0]
		case op == "MatMul" || op == "Gemm":
			for _, in := range n.GetInput() {
				if w := dequantized[in]; w != "" {
					products = append(products, Product{Tensor: n.GetOutput()[0], Node: n.GetName(), Weight: w})
				}
			}
		}
	}
	return quantizers, products, nil
}

// quantizerOf is a QuantizeLinear of an activation with one known scale.
func quantizerOf(m *onnx.Model, n *onnxpb.NodeProto) (Quantizer, bool, error) {
	if len(n.GetInput()) < 2 || m.Weight(n.GetInput()[0]) != nil {
		return Quantizer{}, false, nil
	}
	w := m.Weight(n.GetInput()[1])
	if w == nil {
		return Quantizer{}, false, nil
	}
	scale, err := w.Float32s()
	if err != nil || len(scale) != 1 {
		return Quantizer{}, false, err
	}
	return Quantizer{Tensor: n.GetInput()[0], Scale: float64(scale[0])}, true, nil
}

// grid are the scales that a quantizer's own is held against, as factors of it:
// half a power of two apart.
var grid = func() (f []float64) {
	for k := -8; k <= 8; k++ {
		f = append(f, math.Exp2(float64(k)/2))
	}
	return f
}()

// RoundingMeter sees an activation's values and measures what rounding them by its
// scale costs, and by others.
type RoundingMeter struct {
	q     Quantizer
	n     int64
	amax  float64
	power float64
	cost  []float64 // by the factors of grid, sums of squares
}

// NewRoundingMeter measures q.
func NewRoundingMeter(q Quantizer) *RoundingMeter {
	return &RoundingMeter{q: q, cost: make([]float64, len(grid))}
}

// Add sees values.
func (m *RoundingMeter) Add(values []float32) {
	for _, v := range values {
		x := float64(v)
		m.n++
		m.power += x * x
		m.amax = math.Max(m.amax, math.Abs(x))
	}
	for k, f := range grid {
		m.cost[k] += roundingCost(values, m.q.Scale*f)
	}
}

// roundingCost is the sum of squares of what symmetric INT8 of that scale loses.
func roundingCost(values []float32, scale float64) (sum float64) {
	for _, v := range values {
		x := float64(v)
		level := math.RoundToEven(x / scale)
		d := x - scale*math.Max(-128, math.Min(127, level))
		sum += d * d
	}
	return sum
}

// TensorError is what is wrong with one quantized tensor.
type TensorError struct {
	Tensor string `json:"tensor"`           // the activation, or the product's output
	Weight string `json:"weight,omitempty"` // the weight whose scales are judged; empty: the activation's scale is
	// Scale is the present one, and Best what it should be, as far as this text tells;
	// of a weight they are factors on its output, where 1 is right.
	Scale   float64 `json:"scale"`
	Best    float64 `json:"best"`
	Channel int     `json:"channel,omitempty"` // of a weight: the one that is farthest off
	// Error is the root mean square of the tensor's error over that of its values, in
	// a product against the FP32 graph.
	Error float64 `json:"error"`
	// Suspicion ranks: by how much (dB) the error's power would fall with the best scale.
	Suspicion float64 `json:"suspicion_db"`
	Says      string  `json:"says"`
}

// Result is the meter's verdict.
func (m *RoundingMeter) Result() TensorError {
	best := 0
	for k := range grid {
		if m.cost[k] < m.cost[best] {
			best = k
		}
	}
	own := slices.Index(grid, 1)
	t := TensorError{Tensor: m.q.Tensor, Scale: m.q.Scale, Best: m.q.Scale * grid[best], Error: math.Sqrt(m.cost[own] / math.Max(m.power, math.SmallestNonzeroFloat64))}
	t.Suspicion = decibel(m.cost[own], m.cost[best])
	used := m.amax / (127 * m.q.Scale)
	t.Says = fmt.Sprintf("scale %.4g is %.2g times the best for this text; its values use %.0f %% of the range", t.Scale, t.Scale/t.Best, 100*used)
	// A range that values fill and do not leave is what a calibration by the largest
	// value gives: it costs something where few values are large, and is no mistake.
	if used > 0.7 && used <= 1.05 {
		t.Suspicion = math.Min(t.Suspicion, filled)
	}
	return t
}

// Suspicions in dB: of a range that is just filled at most filled, from suspect on
// a scale is called wrong: twice the best scale costs 6 dB.
const (
	filled  = 1
	Suspect = 4
)

func decibel(a, b float64) float64 {
	const least = 1e-300
	return 10 * math.Log10(math.Max(a, least)/math.Max(b, least))
}

// ProductMeter sees a product's outputs in the quantized graph and in the FP32
// graph, and fits to each channel by what factor the first is larger.
type ProductMeter struct {
	p              Product
	n              float64
	x, y           []float64 // sums of the FP32 graph's and of the quantized one's, a channel
	xx, xy, yy     []float64
	power, squares float64 // of FP32's values, and of the differences
}

// NewProductMeter measures p.
func NewProductMeter(p Product) *ProductMeter { return &ProductMeter{p: p} }

// Add sees the outputs, whose last axis has that many channels.
func (m *ProductMeter) Add(reference, quantized []float32, channels int) {
	if m.x == nil {
		for _, s := range []*[]float64{&m.x, &m.y, &m.xx, &m.xy, &m.yy} {
			*s = make([]float64, channels)
		}
	}
	m.n += float64(len(reference) / channels)
	for i, v := range reference {
		x, y, c := float64(v), float64(quantized[i]), i%channels
		m.x[c], m.y[c] = m.x[c]+x, m.y[c]+y
		m.xx[c], m.xy[c], m.yy[c] = m.xx[c]+x*x, m.xy[c]+x*y, m.yy[c]+y*y
		m.power, m.squares = m.power+x*x, m.squares+(x-y)*(x-y)
	}
}

// Result is the meter's verdict: the channel whose output is farthest from the
// FP32 graph's by a factor alone, which a wrong scale of its weight gives.
func (m *ProductMeter) Result() TensorError {
	t := TensorError{Tensor: m.p.Tensor, Weight: m.p.Weight, Scale: 1, Best: 1, Error: math.Sqrt(m.squares / math.Max(m.power, math.SmallestNonzeroFloat64))}
	off := 0
	for c := range m.x {
		sxx := m.xx[c] - m.x[c]*m.x[c]/m.n
		sxy := m.xy[c] - m.x[c]*m.y[c]/m.n
		syy := m.yy[c] - m.y[c]*m.y[c]/m.n
		if sxx <= 0 || syy <= 0 || sxy <= 0 || sxy*sxy < alike*sxx*syy {
			continue // other things than a factor are wrong here
		}
		slope := sxy / sxx
		if math.Abs(math.Log2(slope)) > 0.3 {
			off++
		}
		// What is left of the error's power once the factor is taken out.
		if s := decibel((syy-2*sxy+sxx)/sxx, math.Max(1-sxy*sxy/(sxx*syy), 1e-4)); s > t.Suspicion && math.Abs(math.Log2(slope)) > 0.3 {
			t.Suspicion, t.Scale, t.Channel = s, slope, c
		}
	}
	if off > 0 {
		t.Says = fmt.Sprintf("in %d of %d channels its output is a multiple of the FP32 graph's, in channel %d %.3g times it", off, len(m.x), t.Channel, t.Scale)
	}
	return t
}

// alike is the squared correlation from which on two outputs differ by a factor.
const alike = 0.9

// Rank puts the most suspicious tensor first. errors come in graph order: what is
// behind a wrong scale is wrong, too, so of products that are suspect the first in
// the graph leads.
func Rank(errors []TensorError) []TensorError {
	ranked := slices.Clone(errors)
	first := slices.IndexFunc(ranked, func(t TensorError) bool { return t.Weight != "" && t.Suspicion >= Suspect })
	for i := range ranked {
		if ranked[i].Weight != "" && first >= 0 && i > first {
			ranked[i].Suspicion = math.Min(ranked[i].Suspicion, ranked[first].Suspicion-1)
		}
	}
	slices.SortStableFunc(ranked, func(a, b TensorError) int { return cmp.Compare(b.Suspicion, a.Suspicion) })
	return ranked
}
