package doctor

import (
	"context"
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// FindGPU is what an engine of GPU i depends on: its name, its compute capability and
// the driver. No driver, or no such GPU, is an error of class missing.
func FindGPU(ctx context.Context, m Machine, i int) (string, error) {
	_, gpus, err := askGPUs(ctx, m)
	if err != nil {
		return "", fault.Wrap(fault.Missing, "looking for", "gpu", err, "use a machine with a GPU and NVIDIA's driver")
	}
	if i < 0 || i >= len(gpus) {
		return "", fault.New(fault.Missing, "looking for", fmt.Sprintf("GPU %d", i), fmt.Sprintf("there are %d", len(gpus)), "name one that is there; CUDA_VISIBLE_DEVICES may hide some")
	}
	g := gpus[i]
	return fmt.Sprintf("%s, compute %s, driver %s", g.Name, g.Compute, g.Driver), nil
}
