package main

import (
	"context"
	"io"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
)

// starter is a builder whose processes are started when it first builds.
type starter struct {
	engine.Builder
	close func()
}

func (o BuildOptions) builder(ctx context.Context, g *globals, of map[string]string) (starter, error) {
	if local.Is(o.Backend) {
		return o.localBuilder(ctx, g, of)
	}
	limit, err := o.memory()
	if err != nil {
		return starter{}, err
	}
	find := &locate{g: g, install: o.Setup, accept: o.Accept}
	var ends []func() error
	end := func() {
		for _, e := range ends {
			_ = e() // it has been asked for nothing more
		}
	}
	if o.Backend == "ortcpu" {
		return starter{&ortcpu.Builder{Version: runtimes.VersionOf("ort"), CreatedBy: createdBy(), Start: func(ctx context.Context) (ortcpu.Caller, error) {
			r, err := find.Get(ctx, "ort")
			if err != nil {
				return nil, err
			}
			c := &ort.Client{Library: r.Library, Log: io.Discard, Run: o.Timeout, Memory: limit}
			ends = append(ends, c.Close)
			return c, nil
		}}, end}, nil
	}
	return starter{&rtx.Builder{Version: runtimes.VersionOf("rtx"), CreatedBy: createdBy(), Start: func(ctx context.Context) (rtx.Worker, error) {
		r, err := find.Get(ctx, "rtx")
		if err != nil {
			return nil, err
		}
		c, err := worker.Start(ctx, worker.RTX, worker.Options{Python: r.Python, Log: io.Discard, Run: o.Timeout, Memory: limit})
		if err == nil {
			ends = append(ends, c.Close)
		}
		return c, err
	}}, end}, nil
}

// localBuilder is a builder that needs this machine's GPU; what is missing is told
// before anything large is read.
func (o BuildOptions) localBuilder(ctx context.Context, g *globals, of map[string]string) (starter, error) {
	if o.Setup && o.Backend != local.Trtexec {
		find := &locate{g: g, install: true, accept: o.Accept}
		if _, err := find.Get(ctx, "trt"); err != nil {
			return starter{}, err
		}
	}
	b, err := o.onThisGPU(ctx, of)
	return starter{b, func() {}}, err
}

func (o BuildOptions) onThisGPU(ctx context.Context, of map[string]string) (engine.Builder, error) {
	return local.Builder(ctx, doctor.ThisMachine(version), o.Backend, local.Options{
		Plugin: o.Plugin, Trtexec: o.Trtexec, Table: o.Table, Device: o.device(of), Timeout: o.Timeout, CreatedBy: createdBy(),
	})
}

// lacks is what this machine has not of what the backend needs.
func (o BuildOptions) lacks(ctx context.Context, of map[string]string) error {
	if !local.Is(o.Backend) || o.Setup {
		return nil
	}
	_, err := o.onThisGPU(ctx, of)
	return err
}
