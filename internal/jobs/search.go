package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/validate"
)

// SearchRequest asks what quantizing each candidate costs, and with a gate which
// of them to quantize. Model is the probe (quant.Probe) with the contract of the
// graph that it was made of. Windows lie side by side from the beginning of IDs;
// those behind Windows confirm the choice.
type SearchRequest struct {
	Model
	Candidates []search.Candidate `json:"candidates"` // in the order of the probe's flags
	IDs        []int              `json:"ids"`
	Length     int                `json:"length"`            // tokens a window
	Windows    int                `json:"windows"`           // that the search measures on
	Confirm    int                `json:"confirm,omitempty"` // further windows that have the last word; 0 = none
	Batch      int                `json:"batch,omitempty"`   // windows that run together; 4 where 0
	Parts      bool               `json:"parts,omitempty"`   // measure the operands of each candidate apart, too
	Subsets    []search.Subset    `json:"subsets,omitempty"` // without a gate: further choices to measure
	Only       bool               `json:"only,omitempty"`    // measure these alone
	Gate       search.Gate        `json:"gate"`              // none: nothing is chosen
	Budget     int                `json:"budget,omitempty"`
}

// Search measures and chooses in one job. Without a gate the result has the
// effects of each candidate and the points of the subsets that were asked for.
func Search(ctx context.Context, c Caller, r SearchRequest, p progress.Counter) (*search.Result, error) {
	result := &search.Result{}
	if err := c.Call(ctx, searchJob, r, result, p); err != nil {
		return nil, err
	}
	return result, nil
}

func runSearch(ctx context.Context, call *child.Call) (any, error) {
	var r SearchRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	var result *search.Result
	err := r.with(func(s *ort.Session, _ time.Duration) (err error) {
		result, err = r.search(ctx, newFlagged(s, len(r.Candidates)), call.Progress)
		return err
	})
	return result, err
}

func (r *SearchRequest) check() error {
	if err := r.needContract(searchJob); err != nil {
		return err
	}
	if r.Contract.Logits == "last" {
		return fault.New(fault.Input, "measuring", r.Path, "the graph answers the last position only", "export it with --logits all")
	}
	if need := r.Length * (r.Windows + r.Confirm); r.Length < 2 || len(r.IDs) < need {
		return fault.New(fault.Usage, "measuring", "the text", fmt.Sprintf("it has %d tokens, %d windows of %d need %d", len(r.IDs), r.Windows+r.Confirm, r.Length, need),
			"give a longer text, or ask for fewer windows")
	}
	if r.Batch < 1 {
		r.Batch = defaultBatch
	}
	return nil
}

func (r *SearchRequest) search(ctx context.Context, s *flagged, p progress.Counter) (*search.Result, error) {
	windows := validate.Convention{Name: validate.HFNonOverlap, Length: r.Length}.Windows(r.IDs)[:r.Windows+r.Confirm]
	e, err := newMeter(r, s, windows[:r.Windows])
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.close() }()
	if r.Only {
		points, err := search.Measure(ctx, e, r.Candidates, r.Subsets)
		return &search.Result{Candidates: r.Candidates, Points: points}, err
	}
	p.Note("each product alone")
	effects, err := search.Sensitivities(ctx, e, r.Candidates, r.Parts, p)
	if err != nil {
		return nil, err
	}
	if r.Gate == (search.Gate{}) {
		points, err := search.Measure(ctx, e, r.Candidates, r.Subsets)
		return &search.Result{Candidates: r.Candidates, Effects: effects, Points: points}, err
	}
	o := search.Options{Gate: r.Gate, Budget: r.Budget, Effects: effects}
	if r.Confirm > 0 {
		held, err := newMeter(r, s, windows[r.Windows:])
		if err != nil {
			return nil, err
		}
		defer func() { _ = held.close() }()
		o.Confirm = held
	}
	p.Note("choices within the gate")
	return search.Run(ctx, e, r.Candidates, o, p)
}

// flagged is a session of a probe that a decoder can feed as if it were the graph
// that the probe was made of: it adds the flags, which are read at every run.
type flagged struct {
	*ort.Session
	activations, weights onnx.Tensor
}

func newFlagged(s *ort.Session, n int) *flagged {
	flags := func(name string) onnx.Tensor {
		return onnx.Tensor{Name: name, Type: onnx.Bool, Dims: []int64{int64(n)}, Bytes: make([]byte, n)}
	}
	return &flagged{Session: s, activations: flags(quant.ProbeActivations), weights: flags(quant.ProbeWeights)}
}

// set quantizes what the subsets say from the next run on.
func (f *flagged) set(activations, weights search.Subset) {
	for i := range activations {
		f.activations.Bytes[i], f.weights.Bytes[i] = 0, 0
		if activations[i] {
			f.activations.Bytes[i] = 1
		}
		if weights[i] {
			f.weights.Bytes[i] = 1
		}
	}
}

// Run is the session's with the flags.
func (f *flagged) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	return f.Session.Run(append(feeds[:len(feeds):len(feeds)], f.activations, f.weights), fetch)
}

// Bind is the session's with the flags, which stay ours: setting them changes
// what is bound.
func (f *flagged) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	return f.Session.Bind(append(in[:len(in):len(in)], f.activations, f.weights), out)
}

// meter measures choices on some windows. It keeps its decoders, one for full
// batches and one for what is left.
type meter struct {
	session   *flagged
	windows   []validate.Window
	batches   []meterBatch
	reference *search.Reference
}

// meterBatch is windows that run together.
type meterBatch struct {
	decoder *lm.Decoder
	first   int
	ids     [][]int64
}

// newMeter makes the decoders and keeps the float model's logits.
func newMeter(r *SearchRequest, s *flagged, windows []validate.Window) (e *meter, err error) {
	e = &meter{session: s, windows: windows}
	defer func() {
		if err != nil {
			_ = e.close()
		}
	}()
	if e.reference, err = search.NewReference(windows, r.Contract.Vocab); err != nil {
		return e, err
	}
	decoders := map[int]*lm.Decoder{}
	for first := 0; first < len(windows); first += r.Batch {
		b := meterBatch{first: first}
		for _, w := range windows[first:min(first+r.Batch, len(windows))] {
			b.ids = append(b.ids, wide(w.IDs[:w.Rows()]))
		}
		n := len(b.ids)
		if decoders[n] == nil {
			if decoders[n], err = lm.NewDecoder(s, r.Contract, lm.Options{Batch: n, Capacity: r.Length - 1}); err != nil {
				return e, err
			}
		}
		b.decoder = decoders[n]
		e.batches = append(e.batches, b)
	}
	none := make(search.Subset, len(r.Candidates))
	s.set(none, none)
	return e, e.run(context.Background(), e.reference.Keep)
}

func (e *meter) close() error {
	for _, b := range e.batches {
		if err := b.decoder.Close(); err != nil {
			return err
		}
	}
	return nil
}

// run runs all windows and hands over the logits of each batch.
func (e *meter) run(ctx context.Context, take func(first int, rows [][]float32) error) error {
	for _, b := range e.batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits, err := b.decoder.Prefill(b.ids)
		if err != nil {
			return err
		}
		var rows [][]float32
		for w := range logits.Batch {
			for i := range logits.Seq {
				rows = append(rows, logits.Row(w, i))
			}
		}
		if err := take(b.first*logits.Seq, rows); err != nil {
			return err
		}
	}
	return nil
}

// Measure quantizes both operands.
func (e *meter) Measure(ctx context.Context, s search.Subset) (search.Measurement, error) {
	return e.MeasureParts(ctx, s, s)
}

// MeasureParts quantizes the operands apart.
func (e *meter) MeasureParts(ctx context.Context, activations, weights search.Subset) (search.Measurement, error) {
	e.session.set(activations, weights)
	c := e.reference.Compare()
	if err := e.run(ctx, c.Add); err != nil {
		return search.Measurement{}, err
	}
	return c.Measurement()
}
