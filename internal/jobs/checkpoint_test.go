package jobs

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
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
