package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// room refuses a build whose engine cannot fit on the disk.
func (s *Store) room(r engine.Request) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &disk); err != nil {
		return nil // a file system that does not say is found full when it is
	}
	need, why := s.estimate(r)
	free := int64(disk.Bavail) * disk.Bsize
	if free >= need {
		return nil
	}
	return fault.New(fault.Runtime, "building", r.Name,
		fmt.Sprintf("%s %.2f MB and the store at %s has %.2f MB free", why, float64(need)/1e6, s.dir, float64(free)/1e6),
		"free some space (`trtforge engines prune`), or set TRTFORGE_STORE to a larger disk")
}

// estimate is how many bytes an engine takes at least, and what says so: the weights
// of its graph, which it holds once or more; or the largest engine of that graph and
// backend that was built before. Some builders store weights once a profile, others
// with what they fused: only a build tells.
func (s *Store) estimate(r engine.Request) (need int64, why string) {
	need, why = weights(r.Model), "its weights take"
	for _, l := range s.alike(r) {
		if l.Bytes > need {
			need, why = l.Bytes, "an engine of the same graph took"
		}
	}
	return need, why
}

// The memory of a build that nothing is known of: its process, and the weights as many
// times over as NVIDIA's builder was seen to hold them.
const (
	process = 1 << 30
	copies  = 4
)

// Peak is how much memory the build of a request will take, in bytes: what a build of
// that graph took before, or a guess from its weights.
func (s *Store) Peak(r engine.Request) int64 {
	var peak int64
	for _, l := range s.alike(r) {
		peak = max(peak, l.Entry.Manifest.Measured.PeakBytes)
	}
	if peak == 0 {
		peak = process + copies*weights(r.Model)
	}
	return peak
}

// weights is the size of a graph with its weights, wherever they lie.
func weights(model string) (sum int64) {
	paths := []string{model}
	if m, err := onnx.Load(model); err == nil { // what is wrong with it is the builder's to say
		paths = append(paths, m.DataFiles()...)
		_ = m.Close()
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// alike are the engines of the same graph and backend.
func (s *Store) alike(r engine.Request) (found []Listed) {
	all, _ := s.List()
	for _, l := range all {
		if l.Entry != nil && l.Entry.Manifest.Inputs["model"] == r.ModelDigest && l.Entry.Manifest.Inputs["backend"] == r.Backend {
			found = append(found, l)
		}
	}
	return found
}
