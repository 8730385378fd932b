package calib

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// fake is a runner whose activations are a function of the token and its
// position, whatever the batch. It fails where positions, mask and cache do not go
// on from step to step. After left
// runs (0: never) it fails.
type fake struct {
	width int
	scale func(id, position int64) float64 // nil: heavy-tailed
	left  int
	runs  int
	shape [][]int64 // of input_ids
}

var errKilled = errors.New("killed")

func (f *fake) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	if f.runs++; f.runs == f.left {
		return nil, errKilled
	}
	in := map[string]onnx.Tensor{}
	for _, t := range feeds {
		in[t.Name] = t
	}
	ids, positions := in["input_ids"], in["position_ids"]
	f.shape = append(f.shape, ids.Dims)
	batch, seq := ids.Dims[0], ids.Dims[1]
	past := in["past_key_values.0.key"].Dims[2]
	for i := range batch * seq {
		if at := whole(positions, i); at != past+i%seq {
			return nil, fmt.Errorf("token %d has position %d after a past of %d", i, at, past)
		}
	}
	if mask := in["attention_mask"]; mask.Dims[1] != past+seq || bytes.Count(mask.Bytes, []byte{1}) != int(batch*(past+seq)) {
		return nil, fmt.Errorf("a mask of %v after a past of %d", mask.Dims, past)
	}
	var out []onnx.Tensor
	for k, name := range fetch {
		if past, ok := in["past_key_values."+name[min(len(name), len("present.")):]]; ok {
			dims := []int64{batch, past.Dims[1], past.Dims[2] + seq, past.Dims[3]}
			n, _ := onnx.Float32.Bytes(dims)
			out = append(out, onnx.Tensor{Name: name, Type: onnx.Float32, Dims: dims, Bytes: make([]byte, n)})
			continue
		}
		t := onnx.Tensor{Name: name, Type: onnx.Float32, Dims: []int64{batch, seq, int64(f.width)}}
		for i := range batch * seq {
			id, at := whole(ids, i), whole(positions, i)
			for c := range f.width {
				t.Bytes = binary.LittleEndian.AppendUint32(t.Bytes, math.Float32bits(f.value(id, at, c, k)))
			}
		}
		out = append(out, t)
	}
	return out, nil
}

func (f *fake) value(id, position int64, channel, tensor int) float32 {
	x := math.Sin(float64(id*31+position*7+int64(channel*13+tensor*3))) * float64(1+channel)
	if f.scale != nil {
		return float32(x * f.scale(id, position))
	}
	return float32(x * math.Exp(3*math.Sin(float64(id*position+5))))
}

func whole(t onnx.Tensor, i int64) int64 { return int64(binary.LittleEndian.Uint64(t.Bytes[8*i:])) }

// fakeJob is a job for the fake and for the contract of a small GPT-2.
func fakeJob(t *testing.T, samples int, o PlanOptions) (*contract.Contract, Job) {
	t.Helper()
	c, err := contract.Infer(gpt2(t))
	if err != nil {
		t.Fatal(err)
	}
	o.Samples, o.Seed = samples, 5
	if o.Prefill == nil {
		o.Prefill, o.Decode = []int{6, 9}, 2
	}
	ids := text(4, 16*samples)
	plan, err := NewPlan(len(ids), o)
	if err != nil {
		t.Fatal(err)
	}
	return c, Job{IDs: ids, Plan: plan, Observe: observed, Model: "ab", CreatedBy: "trtforge test"}
}

func collect(t *testing.T, c *contract.Contract, job Job) *Observations {
	t.Helper()
	o, err := Collect(context.Background(), &fake{width: 8}, c, job, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBatchesAreSingleWindows: what is observed does not depend on how many
// windows are run together.
func TestBatchesAreSingleWindows(t *testing.T) {
	var want *Observations
	for _, batch := range []int{1, 3, 4, 100} {
		c, job := fakeJob(t, 13, PlanOptions{Batch: batch})
		runner := &fake{width: 8}
		o, err := Collect(context.Background(), runner, c, job, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = o
		}
		for name, h := range o.Tensors {
			w := want.Tensors[name]
			if marshal(t, h.Histogram) != marshal(t, w.Histogram) || math.Abs(h.Kurtosis()/w.Kurtosis()-1) > 1e-12 {
				t.Errorf("batch %d: %s was seen as %v, alone as %v", batch, name, h.Moments, w.Moments)
			}
		}
		if batch == 100 && (runner.runs != 6 || runner.shape[0][0]+runner.shape[3][0] != 13) {
			t.Errorf("two shapes took %d runs: %v", runner.runs, runner.shape)
		}
	}
}

// TestResumeIsNeverHavingStopped stops a calibration at every run, goes on from
// what was kept, and wants the bytes of one that was left alone.
func TestResumeIsNeverHavingStopped(t *testing.T) {
	c, job := fakeJob(t, 20, PlanOptions{})
	job.Method, job.Until = Percentile(99), &Until{Percent: 0.001, Least: 16}
	want := collect(t, c, job)
	for kill := 2; kill <= 15; kill += 3 {
		var kept []byte
		goneOn := 0
		keeper := Keeper{Every: time.Nanosecond, Save: func(o *Observations) (err error) {
			kept, err = json.Marshal(o)
			return err
		}}
		var o *Observations
		err, times := errKilled, 0
		for ; errors.Is(err, errKilled) && times < 20; times++ {
			keeper.From = nil
			if kept != nil {
				keeper.From = &Observations{}
				if err := json.Unmarshal(kept, keeper.From); err != nil {
					t.Fatal(err)
				}
				goneOn = keeper.From.Done
			}
			o, err = resume(c, job, keeper, &fake{width: 8, left: kill + times})
		}
		if err != nil {
			t.Fatal(err)
		}
		if times < 2 || goneOn == 0 || marshal(t, o) != marshal(t, want) {
			t.Errorf("killed at run %d, the rest gives something else (%d times)", kill, times)
		}
	}
	other := job
	other.IDs, other.Observe = text(5, len(job.IDs)), observed[:1]
	if _, err := resume(c, other, Keeper{From: want}, &fake{width: 8}); err == nil {
		t.Error("observations of another text are gone on from")
	}
}

// resume is Resume with a saver that is not slowed down.
func resume(c *contract.Contract, job Job, k Keeper, r Runner) (*Observations, error) {
	return Resume(context.Background(), r, c, job, k, progress.Noop)
}

// TestFixedBatch: a graph that runs two windows at once gets two, and a plan that
// leaves one over is refused.
func TestFixedBatch(t *testing.T) {
	for samples, fits := range map[int]bool{12: true, 14: false} { // half of them of each shape
		c, job := fakeJob(t, samples, PlanOptions{Batch: 4})
		for _, in := range c.Inputs {
			for i := range in.Dims {
				if in.Dims[i].Role == contract.Batch {
					in.Dims[i].Size = 2
				}
			}
		}
		runner := &fake{width: 8}
		o, err := resume(c, job, Keeper{}, runner)
		if !fits {
			if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "runs 2 windows at once") {
				t.Errorf("%d samples: %v, want a usage error", samples, err)
			}
			continue
		}
		if err != nil || o.Samples != samples || o.Batches != samples/2 || runner.shape[0][0] != 2 {
			t.Errorf("%d samples: %v in batches of %v, %v", samples, o.Samples, runner.shape, err)
		}
	}
}
