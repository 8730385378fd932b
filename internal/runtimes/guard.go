package runtimes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// acquire locks a file against other processes and says so once if it must wait.
// The file stays: removing it would let two hold "the" lock.
func acquire(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fsx.Explain("creating", filepath.Dir(path), err)
	}
	lock := flock.New(path)
	got, err := lock.TryLock()
	if err == nil && !got {
		waiting()
		got, err = lock.TryLockContext(ctx, 200*time.Millisecond)
	}
	switch {
	case got:
		return func() { _ = lock.Unlock() }, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("waiting for %s: %w", path, context.Cause(ctx))
	}
	return nil, fault.Wrap(fault.Runtime, "locking", path, err,
		"set TRTFORGE_HOME to a directory on a local file system that you may write to")
}

// acquireNow is acquire for work of milliseconds.
func acquireNow(path string) (func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return acquire(ctx, path, func() {})
}
