package jobs

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// InvarianceRequest asks whether what runs beside a row, and padding on its left,
// change its logits. They must not.
type InvarianceRequest struct {
	Model
	IDs    []int `json:"ids"`
	Rows   int   `json:"rows"`   // that run together; 4 where 0
	Length int   `json:"length"` // tokens of the longest prompt; 32 where 0
	Steps  int   `json:"steps"`  // of decoding after it; 8 where 0
	Alike  bool  `json:"alike"`  // all prompts are of that length: padding is not looked at
}

// Invariance runs some stretches of the text alone, together, and together with
// shorter ones, and gives by how much their logits differ.
func Invariance(ctx context.Context, c Caller, r InvarianceRequest, p progress.Counter) (*validate.Invariance, error) {
	if isPlan(r.Model) {
		return r.compare(across(ctx, c, r.Model), p)
	}
	v := &validate.Invariance{}
	return v, c.Call(ctx, invarianceJob, r, v, p)
}

func invariance(_ context.Context, call *child.Call) (any, error) {
	var r InvarianceRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	return r.compare(r.here, call.Progress)
}

// compare runs the stretches on a session.
func (r InvarianceRequest) compare(open opener, p progress.Counter) (*validate.Invariance, error) {
	if err := r.fill(); err != nil {
		return nil, err
	}
	v := &validate.Invariance{}
	p.SetMax(3)
	return v, open(func(s lm.Session, _ time.Duration) error {
		err := r.differ(s, func(int) int { return r.Length }, &v.BatchPrefill, &v.BatchDecode)
		p.Set(1)
		v.NoMask = !has(r.Contract, contract.KindMask)
		if err != nil || v.NoMask || r.Alike {
			return err
		}
		v.Padded = true
		err = r.differ(s, r.shorter, &v.PaddingPrefill, &v.PaddingDecode)
		p.Set(3)
		return err
	})
}

// Filled is the request as it is answered.
func (r InvarianceRequest) Filled() (InvarianceRequest, error) {
	err := r.fill()
	return r, err
}

// Shortest is the shortest of its prompts.
func (r *InvarianceRequest) Shortest() int {
	if r.Alike {
		return r.Length
	}
	return r.shorter(r.Rows - 1)
}

// fill fits the request to the model and the text.
func (r *InvarianceRequest) fill() error {
	if err := r.needContract(invarianceJob); err != nil {
		return err
	}
	r.Rows, r.Length, r.Steps = cmp.Or(r.Rows, 4), cmp.Or(r.Length, 32), cmp.Or(r.Steps, 8)
	most := len(r.IDs)
	if n := r.Contract.MaxPositions; n > 0 {
		most = min(most, n)
	}
	if n := r.Contract.Capacity(); n > 0 {
		most = min(most, int(n))
	}
	r.Length = min(r.Length, most-r.Steps)
	if r.Length < 2 {
		return fault.New(fault.Usage, "scoring", "text", fmt.Sprintf("%d tokens are too few to see whether padding changes anything", most), "give a longer text")
	}
	return nil
}

// shorter is the prompt length of a row: all of it, and ever less.
func (r *InvarianceRequest) shorter(row int) int { return max(1, r.Length-row*r.Length/r.Rows) }

func has(c *contract.Contract, k contract.Kind) bool {
	return slices.ContainsFunc(c.Inputs, func(t contract.Tensor) bool { return t.Kind == k })
}

// begin is where row i's prompt begins in the text.
func (r *InvarianceRequest) begin(i int) int {
	return i * (len(r.IDs) - r.Length - r.Steps) / max(1, r.Rows-1)
}

// text is row i's prompt and what follows it.
func (r *InvarianceRequest) text(i, length int) []int64 {
	at := r.begin(i)
	return wide(r.IDs[at : at+length+r.Steps])
}

// differ notes the largest difference of a row's logits between running alone and
// together, at the prompt's own positions and in the steps after it.
func (r *InvarianceRequest) differ(s lm.Session, length func(row int) int, prefill, decode *rows.Number) error {
	texts := make([][]int64, r.Rows)
	for i := range texts {
		texts[i] = r.text(i, length(i))
	}
	together, err := r.run(s, texts)
	if err != nil {
		return err
	}
	for i := range texts {
		alone, err := r.run(s, texts[i:i+1])
		if err != nil {
			return err
		}
		*prefill = max(*prefill, distance(alone[0].prompt, together[i].prompt))
		*decode = max(*decode, distance(alone[0].steps, together[i].steps))
	}
	return nil
}

// answers are the logits of a row.
type answers struct {
	prompt, steps []float32
}

// run prefills each row but its last Steps tokens, and steps through those.
func (r *InvarianceRequest) run(s lm.Session, rows [][]int64) (all []answers, err error) {
	d, err := lm.NewDecoder(s, r.Contract, lm.Options{Batch: len(rows), Capacity: r.Length + r.Steps})
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	heads, next := make([][]int64, len(rows)), make([]int64, len(rows))
	for b, row := range rows {
		heads[b] = row[:len(row)-r.Steps]
	}
	l, err := d.Prefill(heads)
	if err != nil {
		return nil, err
	}
	all = make([]answers, len(rows))
	for b := range rows {
		for t := max(0, l.Seq-len(heads[b])); t < l.Seq; t++ { // what stands before is padding
			all[b].prompt = append(all[b].prompt, l.Row(b, t)...)
		}
	}
	for t := range r.Steps {
		for b, row := range rows {
			next[b] = row[len(row)-r.Steps+t]
		}
		if l, err = d.Step(next); err != nil {
			return nil, err
		}
		for b := range rows {
			all[b].steps = append(all[b].steps, l.Row(b, -1)...)
		}
	}
	return all, nil
}

// distance is the largest difference; +Inf where one side alone is no number.
func distance(a, b []float32) (most rows.Number) {
	if len(a) != len(b) {
		return rows.Number(math.Inf(1))
	}
	for i, v := range a {
		switch d := math.Abs(float64(v) - float64(b[i])); {
		case d >= 0:
			most = max(most, rows.Number(d))
		case v == b[i] || v != v && b[i] != b[i]: // both infinite, or both NaN
		default:
			return rows.Number(math.Inf(1))
		}
	}
	return most
}
