package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
)

// PyTorch is the backend whose worker (internal/worker.Reference) runs a
// checkpoint, eager and in float32 unless told otherwise.
const PyTorch = "pytorch"

// torchArg is how a command line calls it.
const torchArg = "torch"

// configFile is what makes a directory a checkpoint.
const configFile = "config.json"

// isCheckpoint tells a checkpoint's directory from an engine's.
func isCheckpoint(dir string) bool {
	_, config := os.Stat(filepath.Join(dir, configFile))
	_, manifest := os.Stat(filepath.Join(dir, engine.ManifestFile))
	return config == nil && errors.Is(manifest, os.ErrNotExist)
}

// pytorchArg reads torch:DIR, and torch-bf16:DIR, torch-compile:DIR or both for what
// has to be asked for.
func pytorchArg(arg string) (how, dir string, ok bool) {
	how, dir, ok = strings.Cut(arg, ":")
	return how, dir, ok && (how == torchArg || strings.HasPrefix(how, torchArg+"-"))
}

// checkpointAt is a checkpoint as PyTorch runs it, named after how.
func checkpointAt(how, dir string) (*Runnable, error) {
	r := &Runnable{Name: how, Backend: PyTorch, Precision: engine.FP32, Dir: dir, Model: jobs.Model{PyTorch: &jobs.PyTorch{}}}
	for _, word := range strings.Split(how, "-")[1:] {
		switch word {
		case "bf16":
			r.Model.PyTorch.DType, r.Precision = word, engine.BF16
		case "compile":
			r.Model.PyTorch.Compile = true
		default:
			return nil, fault.New(fault.Usage, "opening checkpoint", dir, fmt.Sprintf("PyTorch is not run as %q", how), "want torch, torch-bf16, torch-compile or torch-bf16-compile")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, configFile)); err != nil {
		return nil, fsx.Explain("opening checkpoint", dir, err)
	}
	var err error
	// The worker has its own working directory.
	r.Model.Path, err = filepath.Abs(dir)
	return r, err
}

// Positions is the checkpoint's longest sequence; 0 = it does not tell.
func Positions(dir string) (int, error) {
	path := filepath.Join(dir, "config.json")
	if _, err := os.Stat(path); err != nil {
		return 0, fsx.Explain("reading checkpoint", path, err)
	}
	return positionsOf(dir), nil
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
