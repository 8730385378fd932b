package jobs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// replaced is a caller whose checkpoint another calibration has replaced when the
// job ends.
type replaced struct {
	Caller
	by   *calib.Observations
	path string
}

func (r replaced) Call(context.Context, string, any, any, progress.Counter) error {
	return r.by.WriteFile(r.path)
}

// TestACheckpointOfAnotherIsNotTaken has two calibrations write one file.
func TestACheckpointOfAnotherIsNotTaken(t *testing.T) {
	half := calib.NewObservations([]string{"a"})
	half.Done, half.Batches = 1, 2
	path := filepath.Join(t.TempDir(), "o.json")
	_, err := Calibrate(t.Context(), replaced{by: half, path: path}, CalibrateRequest{Checkpoint: path}, progress.Noop)
	if err == nil || fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), "1 of 2 batches") {
		t.Errorf("half a calibration was taken for a whole one: %v", err)
	}
}

// sent is a caller that keeps what it is asked.
type sent struct {
	Caller
	request CalibrateRequest
}

func (s *sent) Call(_ context.Context, _ string, request, _ any, _ progress.Counter) error {
	s.request = request.(CalibrateRequest)
	return nil
}

// TestOnlyWindowsCrossThePipe calibrates on a text that no frame holds. What the
// child is told is the same job: text, plan and the tokens of each window.
func TestOnlyWindowsCrossThePipe(t *testing.T) {
	ids := make([]int64, 100_000)
	for i := range ids {
		ids[i] = int64(i)
	}
	plan, err := calib.NewPlan(len(ids), calib.PlanOptions{Samples: 8, Prefill: []int{4, 9}, Decode: 3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := &sent{}
	r := CalibrateRequest{Model: Model{Contract: &contract.Contract{}}, Job: calib.Job{IDs: ids, Plan: plan}}
	if _, err := Calibrate(t.Context(), s, r, progress.Noop); err != nil {
		t.Fatal(err)
	}
	got := s.request.Job
	if len(got.IDs) > 8*12 || got.Text != calib.TextDigest(ids) || got.Whole != plan.Digest() || r.Job.Plan.Samples[0] != plan.Samples[0] {
		t.Errorf("%d ids, text %s, plan %s", len(got.IDs), got.Text, got.Whole)
	}
	for i, w := range got.Plan.Samples {
		want := plan.Samples[i]
		if w.Prefill != want.Prefill || w.Decode != want.Decode || !slices.Equal(got.IDs[w.Start:w.Start+w.Len()], ids[want.Start:want.Start+want.Len()]) {
			t.Errorf("sample %d is %+v, want %+v", i, w, want)
		}
	}
	r.Contract.Vocab = 1000
	if _, err := Calibrate(t.Context(), s, r, progress.Noop); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "token 1000 is 1000") {
		t.Errorf("ids beyond the vocabulary: %v", err)
	}
}
