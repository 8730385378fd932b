package main

import (
	"context"
	"errors"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
)

// engine measures one engine, or says why this machine does not run it.
func (v *validation) engine(ctx context.Context, r *task.Runnable) (all []rows.Row, idle string, err error) {
	p := v.p
	if r.Manifest != nil && r.Backend != "ortcpu" { // those have a process of another kind
		if idle = task.Idle(ctx, r.Manifest); idle != "" {
			return nil, idle, nil
		}
		processes := &task.Processes{Runtimes: v.locate, Timeout: v.timeout()}
		defer func() { err = errors.Join(err, processes.Close()) }()
		on, caller, err := processes.Own(ctx, r)
		if fault.Classify(err) == fault.Missing {
			return nil, err.Error(), nil
		}
		if err != nil {
			return nil, "", err
		}
		r, p.ORT = on, caller
	}
	bar := v.g.bars.open(r.Name)
	all, err = p.Engine(ctx, r, bar)
	bar.Done(err)
	return all, "", err
}
