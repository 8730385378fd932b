package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
)

// room refuses a build whose engine cannot fit on the disk: an engine holds the
// weights of its graph at least once. What a builder needs beside that, and
// weights that are stored once a profile, show only while it builds.
func (s *Store) room(r engine.Request) error {
	var need int64
	for _, path := range []string{r.Model, r.Model + ".data"} {
		if info, err := os.Stat(path); err == nil {
			need += info.Size()
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &disk); err != nil {
		return nil // a file system that does not say is found full when it is
	}
	free := int64(disk.Bavail) * disk.Bsize
	if free >= need {
		return nil
	}
	return fault.New(fault.Runtime, "building", r.Name,
		fmt.Sprintf("its weights take %d MiB and the store at %s has %d MiB free", need>>20, s.dir, free>>20),
		"free some space (`trtforge engines prune`), or set TRTFORGE_HOME to a larger disk")
}
