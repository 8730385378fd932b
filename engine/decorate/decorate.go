package decorate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// build is the signature of [engine.Builder.Build].
type build func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error)

// around is a builder whose builds go through another function.
type around struct {
	engine.Builder
	build build
}

// Build builds through the function around.
func (a around) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	return a.build(ctx, r, dir, p)
}

// Log says when a build begins, and how it ended and after what time.
func Log(b engine.Builder, log *slog.Logger) engine.Builder {
	return around{b, func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
		begin := time.Now()
		l := log.With("engine", r.Name, "builder", b.Revision())
		l.Debug("build begins")
		m, err := b.Build(ctx, r, dir, p)
		if err != nil {
			l.Debug("build failed", "after", time.Since(begin).Round(time.Millisecond), "error", err)
			return m, err
		}
		l.Debug("build done", "after", time.Since(begin).Round(time.Millisecond), "bytes", m.Bytes, "peak", m.Measured.PeakBytes)
		return m, nil
	}}
}

// Timeout ends a build that takes longer than limit, as an error of class runtime. The
// builder is not waited for: one that does not listen to its context is left behind,
// and its directory is not used.
func Timeout(b engine.Builder, limit time.Duration) engine.Builder {
	type outcome struct {
		m   *engine.Manifest
		err error
	}
	return around{b, func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
		late := fault.New(fault.Runtime, "building", r.Name, fmt.Sprintf("it took longer than %s", limit), "raise the timeout, or build a smaller plan")
		ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
		defer cancel()
		done := make(chan outcome, 1)
		go func() {
			m, err := b.Build(ctx, r, dir, p)
			done <- outcome{m, err}
		}()
		select {
		case o := <-done:
			return o.m, o.err
		case <-ctx.Done():
		}
		select {
		case o := <-done: // it listens, and says better where it was
			return nil, errors.Join(context.Cause(ctx), o.err)
		case <-time.After(grace):
			return nil, context.Cause(ctx)
		}
	}}
}

// grace is how long a builder has to end once it is asked to.
const grace = 10 * time.Second

// Retry builds again, at most times more, while again says that the error may not
// come a second time ([Died]). What the failed build left is removed first.
func Retry(b engine.Builder, times int, again func(error) bool) engine.Builder {
	return around{b, func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
		for left := times; ; left-- {
			m, err := b.Build(ctx, r, dir, p)
			if err == nil || left == 0 || ctx.Err() != nil || !again(err) {
				return m, err
			}
			p.Note("failed, building again")
			if err := empty(dir); err != nil {
				return nil, err
			}
		}
	}}
}

// Died tells whether a build failed because its process died, which a busy machine
// or a driver can bring about. A refusal of the builder comes again.
func Died(err error) bool {
	var d *child.Death
	return errors.As(err, &d)
}

// empty removes what is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fsx.Explain("reading", dir, err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fsx.Explain("removing", e.Name(), err)
		}
	}
	return nil
}
