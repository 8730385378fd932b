package main

import (
	"context"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// locate finds the runtimes that stages need, and installs them where the user
// asked for that.
type locate struct {
	g       *globals
	install bool
	accept  bool
}

// Get is the runtime of that name; where it is not there, class missing.
func (l *locate) Get(ctx context.Context, name string) (runtimes.Runtime, error) {
	if r, ok := runtimes.Find(name); ok {
		return r, nil
	}
	if l.install {
		return runtimes.Ensure(ctx, name, runtimes.Options{AcceptLicence: l.accept, Out: l.g.bars})
	}
	return runtimes.Runtime{}, fault.New(fault.Missing, "looking for", "runtime "+name, "it is not installed",
		"run `trtforge setup "+name+"`, or this command with --setup")
}
