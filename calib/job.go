package calib

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// Job is one calibration: which windows of which text, and what is observed.
// It is plain data, so that it can cross to a child process as a whole.
type Job struct {
	IDs     []int64  // the text as token ids
	Plan    Plan     // windows of it
	Observe []string // tensors
	// Method is what the curve shows and the stop rule judges; the zero value is
	// absmax. Any method may be applied to the observations afterwards.
	Method Method
	Until  *Until // ends it early; nil runs the plan to its end

	Model     string // digest of the model, recorded
	Text      string // recorded; "" means TextDigest(IDs)
	Whole     string // digest of the plan, recorded; "" means Plan.Digest()
	CreatedBy string // recorded
}

// Keeper keeps what has been observed so far, so that a calibration that is
// interrupted can go on. The zero value keeps nothing.
type Keeper struct {
	From *Observations             // of the same job, to go on from; nil begins anew
	Save func(*Observations) error // is given the observations now and then; nil = never
	// Every is how long it waits at least between two saves; 0 means 5 s. Saving
	// takes a fiftieth of the time at most.
	Every time.Duration
}

// begin is the observations that the job adds to.
func (j *Job) begin(c *contract.Contract, from *Observations) (*Observations, error) {
	if len(j.Observe) > maxTensors {
		return nil, fault.New(fault.Usage, "calibrating", fmt.Sprintf("%d tensors", len(j.Observe)), fmt.Sprintf("that is more than %d", maxTensors), "observe fewer of them")
	}
	o := NewObservations(j.Observe)
	o.CreatedBy, o.Model, o.Text, o.Plan = j.CreatedBy, j.Model, j.Text, fed(c, cmp.Or(j.Whole, j.Plan.Digest()))
	if o.Text == "" {
		o.Text = TextDigest(j.IDs)
	}
	o.Of, o.Parts, o.Batches = max(1, j.Plan.Of), []int{j.Plan.Part}, len(j.Plan.Batches())
	o.Until = j.Until
	o.Curve = newCurve(j.Method)
	if from == nil {
		return o, nil
	}
	if err := from.continues(o); err != nil {
		return nil, err
	}
	return from, nil
}

// fed is the digest of a plan with what its windows are fed to: inputs that are
// bound otherwise make another job.
func fed(c *contract.Contract, plan string) string {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, plan)
	for _, t := range slices.Concat(c.Inputs, c.Outputs) {
		_, _ = fmt.Fprintln(h, t.Name, t.Kind, t.Type, t.Layer)
		for _, d := range t.Dims {
			_, _ = fmt.Fprintln(h, d.Role, d.Size)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Windows is the job with no more of the text than its windows, for a text may be
// larger than what crosses to another process. It is the same job otherwise: what
// it records is of the whole text.
func (j Job) Windows() Job {
	w := j
	w.Text, w.Whole = cmp.Or(j.Text, TextDigest(j.IDs)), cmp.Or(j.Whole, j.Plan.Digest())
	w.IDs, w.Plan.Samples = nil, slices.Clone(j.Plan.Samples)
	for i, s := range j.Plan.Samples {
		if s.Start < 0 || s.Len() < 0 || s.Start > len(j.IDs)-s.Len() {
			return j // it is refused where it is run
		}
		w.Plan.Samples[i].Start = len(w.IDs)
		w.IDs = append(w.IDs, j.IDs[s.Start:s.Start+s.Len()]...)
	}
	return w
}

// check finds everything in the job that cannot be run.
func (j *Job) check(c *contract.Contract, cached bool) error {
	bad := func(code fault.Code, subject, cause, fix string) error {
		return fault.New(code, "calibrating", subject, cause, fix)
	}
	if err := CheckIDs(j.IDs, c.Vocab); err != nil {
		return err
	}
	if j.Until != nil && j.Plan.Of > 1 {
		return bad(fault.Usage, fmt.Sprintf("part %d of %d", j.Plan.Part+1, j.Plan.Of),
			"a stop rule sees one part only, so the parts would not add up to what one job gives", "run the parts to their end, or one job until it is stable")
	}
	for i, s := range j.Plan.Samples {
		if s.Start < 0 || s.Prefill < 1 || s.Decode < 0 || s.Start+s.Len() > len(j.IDs) {
			return bad(fault.Usage, fmt.Sprintf("sample %d", i),
				fmt.Sprintf("its window %+v is not inside the text of %d tokens", s, len(j.IDs)), "make the plan for this text")
		}
		if s.Decode > 0 && !cached {
			return bad(fault.Usage, fmt.Sprintf("sample %d", i), "the model keeps no cache, so it has no decode step", "plan prefill windows only")
		}
	}
	return nil
}

// fit gives the plan the batch that the graph is fixed at, if it is.
func (p Plan) fit(c *contract.Contract) (Plan, error) {
	fixed := fixedBatch(c)
	if fixed == 0 {
		return p, nil
	}
	p.Batch = int(fixed)
	for _, b := range p.Batches() {
		if len(b) != p.Batch {
			return p, fault.New(fault.Usage, "calibrating", "",
				fmt.Sprintf("the graph runs %d windows at once, and the plan leaves %d of one shape over", fixed, len(b)),
				fmt.Sprintf("plan a multiple of %d samples of each shape, or export the model with a free batch", fixed))
		}
	}
	return p, nil
}

// fixedBatch is the batch that the graph is fixed at; 0 where it is free.
func fixedBatch(c *contract.Contract) int64 {
	for _, t := range c.Inputs {
		if t.Kind == contract.KindIDs && len(t.Dims) > 1 {
			return t.Dims[0].Size
		}
	}
	return 0
}
