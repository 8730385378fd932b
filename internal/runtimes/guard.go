package runtimes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
)

// acquire locks a file against other processes and says so once if it must wait.
func acquire(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fsx.Explain("creating", filepath.Dir(path), err)
	}
	lock, err := filelock.Wait(ctx, path, waiting)
	if err != nil {
		return nil, fmt.Errorf("waiting for %s: %w", path, err)
	}
	return lock.Unlock, nil
}

// acquireNow is acquire for work of milliseconds.
func acquireNow(path string) (func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return acquire(ctx, path, func() {})
}
