package quant

import (
	"math"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
)

// worthNode and worthFold are how small the predicted error must become, as a
// share of what it is without, for a node and for a fold that costs nothing.
const (
	worthNode = 0.75
	worthFold = 0.98
)

// alphas are the candidates of the search. 1 is not among them: it gives every
// channel the same range on the calibration text, which the next text exceeds.
var alphas = []float64{0.5, 0.6, 0.7, 0.8, 0.9}

// maxFactor bounds a factor, so that weights and gains stay in half precision's
// range: 2^12 both ways.
const maxFactor = 4096

// balanced is the choice for one group: factors nil where nothing is gained.
type balanced struct {
	alpha         float64
	factors       []float32 // of each channel
	shift         []float32 // nil = none
	before, after float64
}

// balance searches factors, and a shift where nodes may stand, for a group whose
// path is p (nil: a node takes the factors).
func (s *smoother) balance(g *group, p *path) (balanced, error) {
	c := s.channels(g)
	e, err := s.errorModel(g, c)
	if err != nil {
		return balanced{}, err
	}
	var tied []int
	if p != nil {
		tied = p.tied
	}
	shifts := [][]float32{nil}
	if centre := s.centre(g, c); centre != nil {
		shifts = append(shifts, centre)
	}
	tries := []balanced{{}}
	grid := s.o.Alphas
	if grid == nil {
		grid = alphas
	}
	for _, shift := range shifts {
		for _, a := range grid {
			tries = append(tries, balanced{alpha: a, shift: shift, factors: e.factors(a, shift, tied)})
		}
	}
	if err := e.predict(tries); err != nil {
		return balanced{}, err
	}
	tries[0].before = tries[0].after
	best := tries[0]
	bar := math.Inf(1)
	for _, t := range tries[1:] {
		t.before = tries[0].after
		limit := worthFold
		if p == nil {
			limit = worthNode
		}
		if t.shift != nil {
			limit *= worthNode
		}
		if score := t.after / limit; (t.after <= limit*t.before || len(s.o.Alphas) == 1) && score < bar {
			best, bar = t, score
		}
	}
	return best, nil
}

// centre is the middle of each channel's range, where an Add may move it to 0.
func (s *smoother) centre(g *group, c *calib.Channels) []float32 {
	if len(c.Mean) != len(c.Lo) || !s.inserts(g.first.Role) || !s.biases(g) {
		return nil
	}
	centre := make([]float32, len(c.Lo))
	for j := range centre {
		centre[j] = (c.Lo[j] + c.Hi[j]) / 2
	}
	return centre
}

// errorModel predicts what quantization adds to the results of a group.
type errorModel struct {
	c       *calib.Channels
	weights []errorWeight
	amax    float32   // the table's, without factors
	rowMax  []float32 // greatest magnitude of each input channel's weights
	sum     []float64 // their sum of squares
}

type errorWeight struct {
	w      *onnx.Weight
	inputs int
}

func (s *smoother) errorModel(g *group, c *calib.Channels) (*errorModel, error) {
	e := &errorModel{c: c, rowMax: make([]float32, len(c.Lo)), sum: make([]float64, len(c.Lo))}
	for _, i := range g.taken {
		l := s.linears[i]
		t := l.target
		e.amax = max(e.amax, s.table.Ranges[t.Activation].Amax)
		seen := *s.m.Weight(t.Weight)
		seen.Dims = l.dims
		ew := errorWeight{&seen, 1 - t.Axis}
		e.weights = append(e.weights, ew)
		amax, squares, err := rowsOf(ew.w, ew.inputs)
		if err != nil {
			return nil, err
		}
		for j := range amax {
			e.rowMax[j], e.sum[j] = max(e.rowMax[j], amax[j]), e.sum[j]+squares[j]
		}
	}
	return e, nil
}

// absmax is the magnitude of channel j around a shift.
func (e *errorModel) absmax(j int, shift []float32) float32 {
	if shift == nil {
		return max(-e.c.Lo[j], e.c.Hi[j])
	}
	return max(shift[j]-e.c.Lo[j], e.c.Hi[j]-shift[j])
}

// factors are those of equation 4, equal for tied channels; 1 for a channel that
// is always 0 or that no weight uses.
func (e *errorModel) factors(alpha float64, shift []float32, tied []int) []float32 {
	n := len(e.c.Lo)
	class := func(j int) int {
		if tied == nil {
			return j
		}
		return tied[j]
	}
	x, w := map[int]float32{}, map[int]float32{}
	for j := range n {
		k := class(j)
		x[k], w[k] = max(x[k], e.absmax(j, shift)), max(w[k], e.rowMax[j])
	}
	logs, sum, live := make([]float64, n), 0.0, 0
	for j := range n {
		k := class(j)
		if x[k] > 0 && w[k] > 0 {
			logs[j] = alpha*math.Log(float64(x[k])) - (1-alpha)*math.Log(float64(w[k]))
			sum, live = sum+logs[j], live+1
		}
	}
	all := make([]float32, n)
	for j := range all {
		all[j] = 1
		if k := class(j); x[k] > 0 && w[k] > 0 {
			all[j] = float32(min(max(math.Exp(logs[j]-sum/float64(live)), 1.0/maxFactor), maxFactor))
		}
	}
	return all
}

// predict states the expected squared error of all results of one token, rounding
// errors being independent and uniform (Widrow & Kollár, Quantization Noise, 2008):
//
//	E = Δx²/12 · Σ_j s_j²·‖W_j‖² + Σ_k Δ_k²/12 · Σ_j E[x_j²]/s_j²
//
// Δx = max_j max|x_j|/s_j/127 is the activation's step (the table's where there
// are no factors), Δ_k = max_j s_j·|W_jk|/127 that of output channel k, and x is
// without its mean where it is shifted.
func (e *errorModel) predict(tries []balanced) error {
	factors := make([][]float32, len(tries))
	weightSteps := make([]float64, len(tries))
	for t := range tries {
		if factors[t] = tries[t].factors; factors[t] == nil {
			factors[t] = make([]float32, len(e.c.Lo))
			for j := range factors[t] {
				factors[t][j] = 1
			}
		}
	}
	for _, w := range e.weights {
		columns, err := columnsOf(w.w, w.inputs, factors)
		if err != nil {
			return err
		}
		for t := range tries {
			for _, a := range columns[t] {
				weightSteps[t] += float64(a) / 127 * float64(a) / 127
			}
		}
	}
	for t := range tries {
		step, rows, squares := 0.0, 0.0, 0.0
		for j, f := range factors[t] {
			f := float64(f)
			step = max(step, float64(e.absmax(j, tries[t].shift))/f/127)
			rows += f * f * e.sum[j]
			squares += e.variance(j, tries[t].shift) / f / f
		}
		if tries[t].factors == nil {
			step = float64(e.amax) / 127
		}
		tries[t].after = step*step/12*rows + weightSteps[t]/12*squares
	}
	return nil
}

// variance is the mean square of channel j that rounded weights see: behind a
// shift, the bias takes their error at the mean.
func (e *errorModel) variance(j int, shift []float32) float64 {
	if shift != nil {
		return meanSquare(e.c, j, e.c.Mean[j])
	}
	return meanSquare(e.c, j, 0)
}
