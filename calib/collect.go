package calib

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Runner runs the cut graph: feeds in, the outputs named by fetch out, with their
// names. What it returns must stay valid until the next call has returned: the
// cache is fed back.
type Runner interface {
	Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error)
}

// Collect runs every batch of the job's plan on r, which holds the graph that
// [Cut] made of the model whose contract is c. Prefills have no past; each decode
// step feeds one token a window with the cache that the model itself returned.
// Only what [Observation] keeps is kept, so memory does not grow with the number
// of samples. Cancelling ctx stops between two runs.
func Collect(ctx context.Context, r Runner, c *contract.Contract, job Job, p progress.Counter) (*Observations, error) {
	return Resume(ctx, r, c, job, Keeper{}, p)
}

// Resume is Collect that goes on from what k keeps, and keeps what it observes:
// the result is byte for byte that of a calibration that was never interrupted.
func Resume(ctx context.Context, r Runner, c *contract.Contract, job Job, k Keeper, p progress.Counter) (*Observations, error) {
	d, err := newDriver(r, c, job)
	if err != nil {
		return nil, err
	}
	o, err := d.job.begin(c, k.From)
	if err != nil {
		return nil, err
	}
	batches := d.job.Plan.Batches()
	keeper := newSaver(k)
	total := 0
	for _, b := range batches {
		total += len(b)
	}
	p.SetMax(int64(total))
	p.Set(int64(o.Samples))
	for ; !o.Whole(); p.Set(int64(o.Samples)) {
		samples := batches[o.Done]
		if err := d.batch(ctx, samples, o.Observe); err != nil {
			return nil, &Broken{samples, err}
		}
		o.ran(d.job.Plan, samples)
		if err := errors.Join(o.follow(job.Method), keeper.save(o)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// driver feeds a graph by its contract.
type driver struct {
	runner   Runner
	contract *contract.Contract
	job      Job
	fetch    []string
	pasts    map[string]string      // present output -> past input
	state    map[string]onnx.Tensor // past input -> its value
	past     int64
}

func newDriver(r Runner, c *contract.Contract, job Job) (_ *driver, err error) {
	d := &driver{runner: r, contract: c, job: job, pasts: map[string]string{}}
	d.fetch = append(d.fetch, job.Observe...)
	inputs := map[string]string{}
	for _, t := range c.Inputs {
		switch t.Kind {
		case contract.KindPastKey, contract.KindPastValue:
			inputs[fmt.Sprint(t.Layer, t.Kind)] = t.Name
		case contract.KindOther:
			return nil, fault.New(fault.Input, "calibrating", "input "+t.Name, "the contract does not say what it is fed with", "export the model without it")
		}
	}
	kinds := map[contract.Kind]contract.Kind{contract.KindPresentKey: contract.KindPastKey, contract.KindPresentValue: contract.KindPastValue}
	for _, t := range c.Outputs {
		if past, ok := inputs[fmt.Sprint(t.Layer, kinds[t.Kind])]; ok && kinds[t.Kind] != "" {
			d.pasts[t.Name] = past
			if !slices.Contains(job.Observe, t.Name) {
				d.fetch = append(d.fetch, t.Name)
			}
		}
	}
	if err := job.check(c, len(d.pasts) > 0); err != nil {
		return nil, err
	}
	if !job.Plan.Decodes() { // the graph may be one of CutPrefill
		d.fetch, d.pasts = slices.Clone(job.Observe), nil
	}
	d.job.Plan, err = job.Plan.fit(c)
	return d, err
}

// batch runs windows of one shape together: the prefill and the decode steps.
// What each run returns goes to observe.
func (d *driver) batch(ctx context.Context, samples []int, observe func([]onnx.Tensor) error) error {
	d.past, d.state = 0, map[string]onnx.Tensor{}
	length := d.job.Plan.Samples[samples[0]].Len()
	for at, n := 0, d.job.Plan.Samples[samples[0]].Prefill; at < length; at, n = at+n, 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := make([][]int64, len(samples))
		for i, s := range samples {
			start := d.job.Plan.Samples[s].Start + at
			rows[i] = d.job.IDs[start : start+n]
		}
		out, err := d.run(rows)
		if err != nil {
			return err
		}
		if err := observe(out); err != nil {
			return err
		}
	}
	return nil
}

// run feeds some tokens a row after the present past and keeps the new one.
func (d *driver) run(rows [][]int64) ([]onnx.Tensor, error) {
	feeds := make([]onnx.Tensor, len(d.contract.Inputs))
	for i, t := range d.contract.Inputs {
		f, err := d.feed(t, rows)
		if err != nil {
			return nil, err
		}
		feeds[i] = f
	}
	out, err := d.runner.Run(feeds, d.fetch)
	if err != nil {
		return nil, err
	}
	for _, t := range out {
		if past, ok := d.pasts[t.Name]; ok {
			kept := t
			kept.Name = past
			d.state[past] = kept
		}
	}
	d.past += int64(len(rows[0]))
	return out, nil
}

// feed is one input of a run.
func (d *driver) feed(t contract.Tensor, rows [][]int64) (onnx.Tensor, error) {
	if kept, ok := d.state[t.Name]; ok {
		return kept, nil
	}
	f := onnx.Tensor{Name: t.Name, Dims: d.contract.Shape(t, int64(len(rows)), int64(len(rows[0])), d.past)}
	switch t.Type {
	case onnx.Int64.String():
		f.Type = onnx.Int64
	case onnx.Int32.String():
		f.Type = onnx.Int32
	case onnx.Float32.String():
		f.Type = onnx.Float32
	case onnx.Float16.String():
		f.Type = onnx.Float16
	default:
		return f, fault.New(fault.Input, "calibrating", "input "+t.Name, "its type "+t.Type+" is not fed by calibration", "export the model with int64 inputs")
	}
	n, err := onnx.Elements(f.Dims)
	if err != nil {
		return f, err
	}
	if t.Kind == contract.KindPastKey || t.Kind == contract.KindPastValue {
		size, err := f.Type.Bytes(f.Dims) // a buffer without keys, or nothing where the cache grows
		f.Bytes = make([]byte, size)
		return f, err
	}
	width := n // of a row; cache positions have no rows
	if t.Kind != contract.KindCachePosition {
		width = n / int64(len(rows))
	}
	for i := range n {
		v := d.value(t.Kind, rows[i/width], i%width)
		switch f.Type {
		case onnx.Int64:
			f.Bytes = binary.LittleEndian.AppendUint64(f.Bytes, uint64(v))
		case onnx.Int32:
			f.Bytes = binary.LittleEndian.AppendUint32(f.Bytes, uint32(v))
		case onnx.Float16:
			f.Bytes = binary.LittleEndian.AppendUint16(f.Bytes, float16.Fromfloat32(float32(v)).Bits())
		default: // a float mask
			f.Bytes = binary.LittleEndian.AppendUint32(f.Bytes, math.Float32bits(float32(v)))
		}
	}
	return f, nil
}

// value is number i of a row of an input. The mask of a buffer is open as far as
// it is written; one that grows ends there.
func (d *driver) value(k contract.Kind, row []int64, i int64) int64 {
	switch {
	case k == contract.KindIDs:
		return row[i]
	case k == contract.KindMask && i < d.past+int64(len(row)):
		return 1
	case k == contract.KindPositions, k == contract.KindCachePosition:
		return d.past + i
	}
	return 0
}
