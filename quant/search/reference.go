package search

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/validate"
)

// Reference is the float model's answer to some windows, kept as a whole so that
// KL divergence is exact: 8 bytes for each token of the vocabulary and position.
type Reference struct {
	windows []validate.Window
	vocab   int
	rows    []referenceRow // window after window
}

type referenceRow struct {
	logits []float32
	p      []float32 // probabilities, exp(logits - lse)
	lse    float64
	nll    float64
}

// MaxReferenceBytes bounds a reference: what does not fit is asked to take fewer
// or shorter windows.
const MaxReferenceBytes = 2 << 30

// NewReference makes room for the logits of windows of one length; Keep fills it.
func NewReference(windows []validate.Window, vocab int) (*Reference, error) {
	if len(windows) < minWindows {
		return nil, fault.New(fault.Usage, "measuring", "", fmt.Sprintf("the text has %d windows, %d are the least that have an interval", len(windows), minWindows), "give a longer text")
	}
	r := &Reference{windows: windows, vocab: vocab, rows: make([]referenceRow, len(windows)*windows[0].Rows())}
	if size := int64(len(r.rows)) * int64(vocab) * 8; size > MaxReferenceBytes {
		return nil, fault.New(fault.Usage, "measuring", "", fmt.Sprintf("%d positions of %d logits take %d bytes, %d are allowed", len(r.rows), vocab, size, int64(MaxReferenceBytes)),
			"measure fewer or shorter windows")
	}
	return r, nil
}

// Keep copies the float model's logits of the rows from first on. Rows are
// positions, window after window.
func (r *Reference) Keep(first int, rows [][]float32) error {
	return each(len(rows), func(i int) error { return r.keep(first+i, rows[i]) })
}

func (r *Reference) keep(i int, logits []float32) error {
	target, err := r.target(i, len(logits))
	if err != nil {
		return err
	}
	lse, _ := validate.LogSumExp(logits)
	if math.IsNaN(lse) || math.IsInf(lse, 0) {
		return fault.New(fault.Input, "measuring", fmt.Sprintf("row %d", i), "the float model's logits are not finite", "check the checkpoint")
	}
	row := referenceRow{logits: append([]float32{}, logits...), p: make([]float32, len(logits)), lse: lse, nll: lse - float64(logits[target])}
	for k, v := range logits {
		row.p[k] = float32(math.Exp(float64(v) - lse))
	}
	r.rows[i] = row
	return nil
}

// target is the token that row i predicts.
func (r *Reference) target(i, vocab int) (int, error) {
	w := r.windows[i/r.windows[0].Rows()]
	id := w.IDs[i%w.Rows()+1]
	if vocab != r.vocab || id < 0 || id >= vocab {
		return 0, fmt.Errorf("window %d: token %d among %d logits, the reference has %d", w.Index, id, vocab, r.vocab)
	}
	return id, nil
}

// Comparison measures the same windows' logits under a choice. KL is exact, over
// the whole vocabulary: with p and z the float model's probabilities and logits
// and z' those under the choice,
//
//	KL(p || q) = sum p (z - z') + lse(z') - lse(z)
//
// which loses nothing to cancellation where the two are close.
type Comparison struct {
	r        *Reference
	kl, dnll []float64 // of each row
}

// Compare begins a comparison; every row is to be added once.
func (r *Reference) Compare() *Comparison {
	return &Comparison{r: r, kl: make([]float64, len(r.rows)), dnll: make([]float64, len(r.rows))}
}

// Add takes the logits of the rows from first on.
func (c *Comparison) Add(first int, rows [][]float32) error {
	return each(len(rows), func(i int) error {
		at := first + i
		target, err := c.r.target(at, len(rows[i]))
		if err == nil {
			c.kl[at], c.dnll[at] = c.r.rows[at].against(rows[i], target)
		}
		return err
	})
}

// Measurement is the summary of all rows.
func (c *Comparison) Measurement() (Measurement, error) {
	n := c.r.windows[0].Rows()
	return NewMeasurement(means(c.kl, n), means(c.dnll, n))
}

// against is the KL divergence of one row and by how much its NLL is larger.
func (r referenceRow) against(logits []float32, target int) (kl, dnll float64) {
	lse, _ := validate.LogSumExp(logits)
	if math.IsNaN(lse) || math.IsInf(lse, 0) {
		return math.Inf(1), math.Inf(1)
	}
	sum := 0.0
	for k, p := range r.p {
		if p > 0 { // a masked token's logits are -Inf, whose difference is no number
			sum += float64(p) * float64(r.logits[k]-logits[k])
		}
	}
	return sum + lse - r.lse, lse - float64(logits[target]) - r.nll
}

// means is the mean of each stretch of n values.
func means(values []float64, n int) []float64 {
	all := make([]float64, len(values)/n)
	for i, v := range values {
		all[i/n] += v / float64(n)
	}
	return all
}

// each calls do for every row, on all processors: a vocabulary of exponentials a
// row would otherwise take as long as the model.
func each(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
