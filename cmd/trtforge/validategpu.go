package main

import (
	"context"
	"errors"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/rows"
)

// engine measures one engine, or says why this machine does not run it.
func (v *validation) engine(ctx context.Context, r *pipeline.Runnable) (all []rows.Row, idle string, err error) {
	p := v.p
	switch {
	case r.Model.Contract == nil: // it was not even opened
		return nil, pipeline.WhyNot(r.Manifest), nil
	case r.Backend != "ortcpu":
		processes := &pipeline.Processes{Runtimes: v.locate, Timeout: v.timeout()}
		defer func() { err = errors.Join(err, processes.Close()) }()
		systems, err := processes.Systems(ctx, []*pipeline.Runnable{r})
		if fault.Classify(err) == fault.Missing {
			return nil, err.Error(), nil
		}
		if err != nil {
			return nil, "", err
		}
		on := *r
		on.Model = systems[0].Model
		on.Model.Spin = false
		r, p.ORT = &on, systems[0].Caller
	}
	bar := v.g.bars.open(r.Name)
	all, err = p.Engine(ctx, r, bar)
	bar.Done(err)
	return all, "", err
}
