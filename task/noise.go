package task

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// The engines whose rows are the noise that gates must lie above.
const (
	NoiseBF16 = "noise/pytorch-bf16" // PyTorch in BF16 against itself in FP32
	NoiseORT  = "noise/ort-fp32"     // ONNX Runtime in FP32 against PyTorch
)

// floorNames are the rows that a noise floor has.
var floorNames = []string{validate.PPLRatio, validate.Top1Agreement, validate.Top5Agreement, validate.LogitMax, validate.LogitP999, validate.DProbMean, validate.DProbRMS}

// Floor is the noise floor that an engine's rows give: none but of ONNX Runtime in
// FP32.
func Floor(r *Runnable, of []rows.Row) (all []rows.Row) {
	if r.Backend != "ortcpu" || r.Precision != engine.FP32 {
		return nil
	}
	for _, row := range of {
		if row.Engine == r.Name && (slices.Contains(floorNames, row.Name) || strings.HasPrefix(row.Name, "kl_") && row.Name != validate.KLByPosition) {
			row.Engine, row.Samples = NoiseORT, nil
			all = append(all, row)
		}
	}
	return all
}
