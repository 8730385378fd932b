package decorate

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// Care is what the builds of commands go through.
type Care struct {
	Log *slog.Logger
	// Meet is the directory in which the builds of all processes of this machine know
	// of each other; "" is one of trtforge's own. It is made when it is needed.
	Meet string
	// GPU says that the builder times kernels on this machine's GPU number Device.
	GPU    bool
	Device int
	// Need is the memory that a build takes which needs no GPU.
	Need func(r engine.Request) int64
	// Timeout is for builders that keep no time themselves; 0 is none.
	Timeout time.Duration
}

// Around is b with care. The time limit counts from when a build is admitted, and a
// build that is done again waits for its turn again.
func (c Care) Around(b engine.Builder) engine.Builder {
	if c.Timeout > 0 {
		b = Timeout(b, c.Timeout)
	}
	meet := c.Meet
	if meet == "" {
		home, err := runtimes.Home()
		if err != nil {
			home = os.TempDir()
		}
		meet = filepath.Join(home, "builds")
	}
	var admit Admission = &Memory{Dir: filepath.Join(meet, "memory"), Total: child.DefaultMemory(), Need: c.Need}
	if c.GPU {
		admit = GPU(filepath.Join(meet, fmt.Sprintf("gpu-%d", c.Device)))
	}
	return Retry(Limit(Log(b, c.Log), admit, c.Log), 1, Died)
}
