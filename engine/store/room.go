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
		fmt.Sprintf("%s %d MiB and the store at %s has %d MiB free", why, need>>20, s.dir, free>>20),
		"free some space (`trtforge engines prune`), or set TRTFORGE_STORE to a larger disk")
}

// estimate is how many bytes an engine takes at least, and what says so: the weights
// of its graph, wherever they lie, which it holds once or more; or the largest
// engine of that graph and backend that was built before. Some builders store
// weights once a profile, others with what they fused: only a build tells.
func (s *Store) estimate(r engine.Request) (need int64, why string) {
	why = "its weights take"
	paths := []string{r.Model}
	if m, err := onnx.Load(r.Model); err == nil { // what is wrong with it is the builder's to say
		paths = append(paths, m.DataFiles()...)
		_ = m.Close()
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			need += info.Size()
		}
	}
	all, _ := s.List()
	for _, l := range all {
		if l.Entry == nil {
			continue
		}
		in := l.Entry.Manifest.Inputs
		if in["model"] == r.ModelDigest && in["backend"] == r.Backend && l.Bytes > need {
			need, why = l.Bytes, "an engine of the same graph took"
		}
	}
	return need, why
}
