package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
)

// fits refuses, before any work, a workload or a window that is longer than the
// checkpoint has positions. A config.json that does not tell is left to the
// export.
func fits(c *Config) error {
	positions := positionsOf(c.Model.Path)
	if err := c.Workload.Fit(positions); err != nil {
		return err
	}
	if positions > 0 && c.Text.Window > positions {
		return fault.New(fault.Usage, "checking pipeline", "[text] window",
			fmt.Sprintf("%d tokens are more than the model's %d positions", c.Text.Window, positions), "choose a smaller window")
	}
	return nil
}

// positionsOf is the checkpoint's longest sequence, by the names that
// transformers has for it; 0 = not known.
func positionsOf(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return 0
	}
	var config struct {
		Positions int `json:"n_positions"`
		Longest   int `json:"max_position_embeddings"` // has the last word, as in export
	}
	if json.Unmarshal(b, &config) != nil {
		return 0
	}
	if config.Longest > 0 {
		return config.Longest
	}
	return config.Positions
}
