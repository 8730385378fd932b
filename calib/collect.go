package calib

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

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

// Job is one calibration: which windows of which text, and what is observed.
// It is plain data, so that it can cross to a child process as a whole.
type Job struct {
	IDs     []int64  // the text as token ids
	Plan    Plan     // windows of it
	Observe []string // tensors
}

// Collect runs every window of the job's plan on r, which holds the graph that
// [Cut] made of the model whose contract is c. Prefill windows have batch 1 and
// no past; each decode step feeds one token with the cache that the model itself
// returned. Histograms are all that is kept, so memory does not grow with the
// number of samples. Cancelling ctx stops between two runs.
func Collect(ctx context.Context, r Runner, c *contract.Contract, job Job, p progress.Counter) (*Collector, error) {
	d, err := newDriver(r, c, job)
	if err != nil {
		return nil, err
	}
	p.SetMax(int64(len(job.Plan.Samples)))
	for i, s := range job.Plan.Samples {
		if err := d.sample(ctx, s); err != nil {
			return nil, fmt.Errorf("calibrating on sample %d (token %d): %w", i, s.Start, err)
		}
		p.Set(int64(i + 1))
	}
	return d.collector, nil
}

// driver feeds a graph by its contract.
type driver struct {
	runner    Runner
	contract  *contract.Contract
	job       Job
	collector *Collector
	fetch     []string
	pasts     map[string]string      // present output -> past input
	state     map[string]onnx.Tensor // past input -> its value
	past      int64
}

func newDriver(r Runner, c *contract.Contract, job Job) (*driver, error) {
	d := &driver{runner: r, contract: c, job: job, collector: NewCollector(job.Observe), pasts: map[string]string{}}
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
			if _, observed := d.collector.Tensors[t.Name]; !observed {
				d.fetch = append(d.fetch, t.Name)
			}
		}
	}
	for i, s := range job.Plan.Samples {
		if s.Start < 0 || s.Prefill < 1 || s.Decode < 0 || s.Start+s.Len() > len(job.IDs) {
			return nil, fault.New(fault.Usage, "calibrating", fmt.Sprintf("sample %d", i),
				fmt.Sprintf("its window %+v is not inside the text of %d tokens", s, len(job.IDs)), "make the plan for this text")
		}
		if s.Decode > 0 && len(d.pasts) == 0 {
			return nil, fault.New(fault.Usage, "calibrating", fmt.Sprintf("sample %d", i),
				"the model keeps no cache, so it has no decode step", "plan prefill windows only")
		}
	}
	return d, nil
}

// sample runs one window: the prefill and its decode steps.
func (d *driver) sample(ctx context.Context, s Sample) error {
	d.past, d.state = 0, map[string]onnx.Tensor{}
	window := d.job.IDs[s.Start : s.Start+s.Len()]
	for at, n := 0, s.Prefill; at < len(window); at, n = at+n, 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.run(window[at : at+n]); err != nil {
			return err
		}
	}
	d.collector.Samples++
	d.collector.Tokens += int64(len(window))
	return nil
}

// run feeds some tokens after the present past and keeps the new one.
func (d *driver) run(ids []int64) error {
	feeds := make([]onnx.Tensor, len(d.contract.Inputs))
	for i, t := range d.contract.Inputs {
		f, err := d.feed(t, ids)
		if err != nil {
			return err
		}
		feeds[i] = f
	}
	out, err := d.runner.Run(feeds, d.fetch)
	if err != nil {
		return err
	}
	for _, t := range out {
		if past, ok := d.pasts[t.Name]; ok {
			kept := t
			kept.Name = past
			d.state[past] = kept
		}
	}
	d.past += int64(len(ids))
	return d.collector.Observe(out)
}

// feed is one input of a run.
func (d *driver) feed(t contract.Tensor, ids []int64) (onnx.Tensor, error) {
	if kept, ok := d.state[t.Name]; ok {
		return kept, nil
	}
	f := onnx.Tensor{Name: t.Name, Dims: d.contract.Shape(t, 1, int64(len(ids)), d.past)}
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
	for i := range n {
		v := d.value(t.Kind, ids, i)
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

// value is number i of an input of a run with batch 1. The mask of a buffer is
// open as far as it is written; one that grows ends there.
func (d *driver) value(k contract.Kind, ids []int64, i int64) int64 {
	switch {
	case k == contract.KindIDs:
		return ids[i]
	case k == contract.KindMask && i < d.past+int64(len(ids)):
		return 1
	case k == contract.KindPositions, k == contract.KindCachePosition:
		return d.past + i
	}
	return 0
}
