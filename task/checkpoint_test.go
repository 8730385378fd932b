package task

import (
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
)

func TestACheckpointIsForPyTorch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := export.Random(dir, export.Shape{Layers: 1, Width: 16, Heads: 2, Vocab: 64, Positions: 32}, 1); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]Runnable{
		dir:                              {Name: "torch", Precision: engine.FP32, Model: jobs.Model{PyTorch: &jobs.PyTorch{}}},
		"torch:" + dir:                   {Name: "torch", Precision: engine.FP32, Model: jobs.Model{PyTorch: &jobs.PyTorch{}}},
		"eager=torch:" + dir:             {Name: "eager", Precision: engine.FP32, Model: jobs.Model{PyTorch: &jobs.PyTorch{}}},
		"torch-bf16:" + dir:              {Name: "torch-bf16", Precision: engine.BF16, Model: jobs.Model{PyTorch: &jobs.PyTorch{DType: "bf16"}}},
		"torch-compile:" + dir:           {Name: "torch-compile", Precision: engine.FP32, Model: jobs.Model{PyTorch: &jobs.PyTorch{Compile: true}}},
		"both=torch-bf16-compile:" + dir: {Name: "both", Precision: engine.BF16, Model: jobs.Model{PyTorch: &jobs.PyTorch{DType: "bf16", Compile: true}}},
	} {
		r, err := OpenRunnable(arg, nil, 2)
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		if r.Name != want.Name || r.Backend != PyTorch || r.Precision != want.Precision || *r.Model.PyTorch != *want.Model.PyTorch || r.Model.Path != dir || r.Model.Threads != 2 {
			t.Errorf("%s is %+v", arg, r)
		}
	}
	for arg, want := range map[string]fault.Code{"torch-fp8:" + dir: fault.Usage, "torch:" + dir + "x": fault.Input} {
		if _, err := OpenRunnable(arg, nil, 0); fault.Classify(err) != want {
			t.Errorf("%s: %v, want class %s", arg, err, want)
		}
	}
}
