package pipeline

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/task"
)

// fits refuses, before any work, a workload or a window that is longer than the
// checkpoint has positions, or a static cache columns. A config.json that does not
// tell is left to the export.
func fits(c *Config) error {
	positions, _ := task.Positions(c.Model.Path)
	if n := int(c.Model.Capacity); n > 0 {
		if positions > 0 && n > positions {
			return fault.New(fault.Usage, "checking pipeline", "[model] capacity",
				fmt.Sprintf("%d columns are more than the model's %d positions", n, positions), "choose a smaller capacity")
		}
		positions = n
	}
	err := c.Workload.Fit(positions)
	if positions > 0 && c.Text.Window > positions {
		err = errors.Join(err, fault.New(fault.Usage, "checking pipeline", "[text] window",
			fmt.Sprintf("%d tokens are more than the model's %d positions", c.Text.Window, positions), "choose a smaller window"))
	}
	if err != nil && c.Model.Capacity > 0 {
		return fmt.Errorf("with [model] capacity = %d: %w", positions, err)
	}
	return err
}
