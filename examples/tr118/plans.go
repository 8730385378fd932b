package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
)

// rtxGraphs are the typed graphs that TensorRT-RTX's engines are built from: INT8
// stands on FP16 there.
var rtxGraphs = map[engine.Precision]quant.Precision{engine.FP32: quant.FP32, engine.FP16: quant.FP16, engine.INT8: quant.INT8FP16}

// rtxBuilder builds plans without a GPU, in a worker that the workshop ends.
func (w *workshop) rtxBuilder() *rtx.Builder {
	return &rtx.Builder{
		Version: runtimes.VersionOf("rtx"), CreatedBy: w.createdBy,
		Start: func(ctx context.Context) (rtx.Worker, error) {
			r, err := here{}.Get(ctx, "rtx")
			if err != nil {
				return nil, err
			}
			c := &worker.Client{Kind: worker.RTX, Options: worker.Options{Python: r.Python, Log: w.log}}
			w.ends = append(w.ends, c.Close)
			return c, nil
		},
	}
}

// plans builds the engines that wait for a GPU, with the profiles that were proved for
// them, and adds their keys.
func (w *workshop) plans(ctx context.Context, m model, g *onnx.Model, float string, c *contract.Contract, table *calib.Table, file *memberFile) error {
	_, derived, err := proveOurs(&member{model: m, Contract: c}, w.study.Workload.Scenarios)
	if err != nil {
		return err
	}
	b := w.rtxBuilder()
	for _, p := range []engine.Precision{engine.FP32, engine.FP16, engine.INT8} {
		name := "rtx-" + string(p)
		w.say("%s: %s", m.Name, name)
		path, err := typed(g, float, rtxGraphs[p], table, filepath.Join(filepath.Dir(float), name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r := engine.Request{Name: name, Backend: "rtx", Precision: p, Plan: derived["rtx cached"]}
		if file.Engines[name], err = w.engine(ctx, b, r, path); err != nil {
			return err
		}
	}
	return nil
}
