package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/task"
)

// Runnables are what a command line names to be measured.
type Runnables struct {
	Engines []*task.Runnable
	Config  *Config  // of the pipeline file among the arguments; nil without one
	Skipped []string // engines of a pipeline that this machine cannot run, with the reason
}

// OpenRunnables finds what arguments name: engines and graphs as [task.OpenRunnable]
// does, a pipeline file (one at most), which stands for the engines that it built,
// and the output directory of one, likewise. Names must differ.
func OpenRunnables(args []string, s *store.Store, threads int) (*Runnables, error) {
	all := &Runnables{}
	for _, arg := range args {
		if err := all.add(arg, s, threads); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, r := range all.Engines {
		if seen[r.Name] {
			return nil, fault.New(fault.Usage, "opening engines", r.Name, "two engines have this name", "name each: NAME=PATH")
		}
		seen[r.Name] = true
	}
	if len(all.Engines) == 0 {
		return nil, fault.New(fault.Missing, "opening engines", strings.Join(args, " "), "none of them runs here: "+strings.Join(all.Skipped, "; "),
			"measure on a machine with the GPU, or build an ortcpu engine")
	}
	return all, nil
}

func (all *Runnables) add(arg string, s *store.Store, threads int) error {
	dir := arg
	if strings.EqualFold(filepath.Ext(arg), ".toml") {
		c, err := Load(arg)
		if err != nil {
			return err
		}
		if all.Config != nil {
			return fault.New(fault.Usage, "opening engines", arg, "a second pipeline file", "give one: its workload is measured")
		}
		all.Config, dir = c, c.Output.Dir
		if threads == 0 {
			threads = c.Run.Threads
		}
	}
	built := filepath.Join(dir, "stages", "engine")
	if _, err := os.Stat(built); err == nil {
		return all.pipeline(built, threads)
	}
	if all.Config != nil && dir == all.Config.Output.Dir {
		return fault.New(fault.Input, "opening engines", arg, "it has built no engine yet", "run `trtforge run "+arg+"` first")
	}
	r, err := task.OpenRunnable(arg, s, threads)
	if err == nil {
		all.Engines = append(all.Engines, r)
	}
	return err
}

// pipeline adds the engines below the stages of a pipeline. Their contract is that
// of the graph where the engine has none.
func (all *Runnables) pipeline(dir string, threads int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fsx.Explain("reading engines", dir, err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		m, err := engine.LoadManifest(filepath.Join(path, manifestFile))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // a build that is under way
		case err != nil:
			return err
		}
		if why := task.Idle(context.Background(), m); why != "" {
			all.Skipped = append(all.Skipped, e.Name()+": "+why)
			continue
		}
		r, err := task.EngineIn(path)
		if err != nil {
			return fmt.Errorf("opening %s: %w", e.Name(), err)
		}
		r.Name, r.Model.Threads = e.Name(), threads
		all.Engines = append(all.Engines, r)
	}
	return nil
}

// Positions is the least number of positions that the engines' models state; 0
// where none does.
func (all *Runnables) Positions() int {
	least := 0
	for _, r := range all.Engines {
		if c := r.Model.Contract; c != nil {
			if n := limit(c); n > 0 && (least == 0 || n < least) {
				least = n
			}
		}
	}
	return least
}

// limit is how many columns a graph has room for.
func limit(c *contract.Contract) int {
	n := c.MaxPositions
	if buffer := int(c.Capacity()); buffer > 0 && (n == 0 || buffer < n) {
		n = buffer
	}
	return n
}
