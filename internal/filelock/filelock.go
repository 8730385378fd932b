// Package filelock keeps other processes away from what a file stands for: a
// directory that is written, a key that is built, the GPU.
//
// The locks are flock, which the kernel drops with the process that holds them, so
// nothing that was killed keeps anybody out; network file systems do not always
// honour them. A lock file stays: removing it would let two hold "the" lock. Who
// removes it all the same asks [Lock.Current].
package filelock

import (
	"context"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/trtforge/trtforge/internal/fault"
)

// poll is how often a waiting process asks again.
const poll = 100 * time.Millisecond

// Lock is a lock that is held.
type Lock struct{ l *flock.Flock }

// Unlock gives it back.
func (l *Lock) Unlock() { _ = l.l.Unlock() }

// Current tells whether the file of that name is still the one that is locked.
func (l *Lock) Current() bool {
	mine, err1 := l.l.Stat()
	there, err2 := os.Stat(l.l.Path())
	return err1 == nil && err2 == nil && os.SameFile(mine, there)
}

// Try takes a lock that nobody holds; nil where somebody does. The error is of class
// runtime.
func Try(path string) (*Lock, error) {
	l := flock.New(path)
	held, err := l.TryLock()
	if err != nil {
		return nil, explain(path, err)
	}
	if !held {
		return nil, nil
	}
	return &Lock{l}, nil
}

// Wait takes a lock, and calls waiting once where somebody else holds it. The error
// is ctx's cause where that ends first, and of class runtime otherwise.
func Wait(ctx context.Context, path string, waiting func()) (*Lock, error) {
	l, err := Try(path)
	if l != nil || err != nil {
		return l, err
	}
	waiting()
	f := flock.New(path)
	held, err := f.TryLockContext(ctx, poll)
	switch {
	case held && ctx.Err() == nil:
		return &Lock{f}, nil
	case held:
		_ = f.Unlock()
	case ctx.Err() == nil:
		return nil, explain(path, err)
	}
	return nil, context.Cause(ctx)
}

func explain(path string, err error) error {
	return fault.Wrap(fault.Runtime, "locking", path, err, "keep it on a local file system that you may write to")
}
