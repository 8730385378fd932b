package decorate

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// Admission lets builds begin. Enter waits until a build may, or until ctx ends; the
// caller calls leave when it is over.
type Admission interface {
	Enter(ctx context.Context, r engine.Request, waiting func()) (leave func(), err error)
}

// Limit lets the builds of b begin only as a admits them, and says when one waits.
func Limit(b engine.Builder, a Admission, log *slog.Logger) engine.Builder {
	return around{b, func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
		leave, err := a.Enter(ctx, r, func() {
			p.Note("waiting for other builds")
			log.Info("other builds take the GPU or the memory, waiting for them", "engine", r.Name)
		})
		if err != nil {
			return nil, err
		}
		defer leave()
		return b.Build(ctx, r, dir, p)
	}}
}

// poll is how often a waiting build asks again.
const poll = 100 * time.Millisecond

// GPU admits one build at a time among all processes that name the same lock file: a
// builder times kernels, and another one on the GPU makes it choose wrong ones.
func GPU(lock string) Admission { return gpu(lock) }

type gpu string

// Enter waits for the lock.
func (g gpu) Enter(ctx context.Context, _ engine.Request, waiting func()) (func(), error) {
	if err := fsx.MkdirAll(filepath.Dir(string(g))); err != nil {
		return nil, err
	}
	l, err := filelock.Wait(ctx, string(g), waiting)
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}
