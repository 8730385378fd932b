package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

// TensorsRequest asks which quantized tensor is farthest from what it should be.
// Model is the Q/DQ graph, Reference the FP32 graph that it was made of; both name
// their values alike.
type TensorsRequest struct {
	Model
	Reference string `json:"reference"`
	IDs       []int  `json:"ids"`
	Length    int    `json:"length"`  // tokens a window
	Windows   int    `json:"windows"` // spread over the text
	Dir       string `json:"dir"`     // an existing directory for temporary copies of the graphs
}

// Tensors are the quantized tensors, the most suspicious first.
func Tensors(ctx context.Context, c Caller, r TensorsRequest, p progress.Counter) (all []validate.TensorError, err error) {
	err = c.Call(ctx, tensorsJob, r, &all, p)
	return all, err
}

func tensors(ctx context.Context, call *child.Call) (_ any, err error) {
	var r TensorsRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(tensorsJob); err != nil {
		return nil, err
	}
	if r.Length < 1 || r.Windows < 1 || len(r.IDs) < r.Length {
		return nil, fault.New(fault.Usage, "comparing tensors", "text", fmt.Sprintf("%d tokens have no window of %d", len(r.IDs), r.Length), "give a longer text")
	}
	dir, err := os.MkdirTemp(r.Dir, fsx.TempPrefix+"tensors-*")
	if err != nil {
		return nil, fsx.Explain("comparing tensors in", r.Dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &tensorComparison{ctx: ctx, r: r, p: call.Progress}
	if err := c.open(dir); err != nil {
		return nil, err
	}
	if err := c.run(); err != nil {
		return nil, err
	}
	return c.result(), nil
}

// tensorComparison runs two graphs side by side.
type tensorComparison struct {
	ctx        context.Context
	r          TensorsRequest
	p          progress.Counter
	own, other Model // the graphs with the observed values as outputs
	quantizers []validate.Quantizer
	products   []validate.Product
	rounding   []*validate.RoundingMeter
	outputs    []*validate.ProductMeter
}

// open finds what is quantized and writes both graphs with it as outputs.
func (c *tensorComparison) open(dir string) (err error) {
	q, err := onnx.Load(c.r.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	if c.quantizers, c.products, err = validate.Quantized(q); err != nil {
		return err
	}
	if len(c.quantizers)+len(c.products) == 0 {
		return fault.New(fault.Input, "comparing tensors", c.r.Path, "the graph has no QuantizeLinear or DequantizeLinear", "give the Q/DQ graph that `trtforge quantize` wrote, before a runtime rewrites it")
	}
	f, err := onnx.Load(c.r.Reference)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	own, other := validate.NewCuts(q), validate.NewCuts(f)
	kept := c.products[:0]
	for _, p := range c.products {
		if other.Makes(p.Tensor) {
			kept = append(kept, p)
		}
	}
	c.products = kept
	c.own, c.other = c.r.Model, c.r.Model
	c.own.Path, c.other.Path = filepath.Join(dir, "own.onnx"), filepath.Join(dir, "other.onnx")
	return errors.Join(
		onnx.Save(own.Show(q, c.names(true)), c.own.Path, onnx.SaveOptions{}),
		onnx.Save(other.Show(f, c.names(false)), c.other.Path, onnx.SaveOptions{}))
}

// names are the observed values: products' outputs, and of the quantized graph what
// it rounds.
func (c *tensorComparison) names(own bool) (names []string) {
	for _, p := range c.products {
		names = append(names, p.Tensor)
	}
	for _, q := range c.quantizers {
		if own {
			names = append(names, q.Tensor)
		}
	}
	return names
}

func (c *tensorComparison) run() error {
	for _, q := range c.quantizers {
		c.rounding = append(c.rounding, validate.NewRoundingMeter(q))
	}
	for _, p := range c.products {
		c.outputs = append(c.outputs, validate.NewProductMeter(p))
	}
	c.p.SetMax(int64(c.r.Windows))
	return c.own.with(func(own *ort.Session, _ time.Duration) error {
		return c.other.with(func(other *ort.Session, _ time.Duration) error {
			for w := range c.r.Windows {
				at := w * (len(c.r.IDs) - c.r.Length) / max(1, c.r.Windows-1)
				if err := c.window(own, other, wide(c.r.IDs[at:at+c.r.Length])); err != nil {
					return err
				}
				c.p.Set(int64(w + 1))
			}
			return nil
		})
	})
}

// window shows the meters one window.
func (c *tensorComparison) window(own, other *ort.Session, ids []int64) error {
	var want []onnx.Tensor
	if len(c.products) > 0 {
		err := calib.Drive(c.ctx, other, c.r.Contract, ids, len(ids), c.names(false), func(_ int64, out []onnx.Tensor) error {
			want = out
			return nil
		})
		if err != nil {
			return err
		}
	}
	return calib.Drive(c.ctx, own, c.r.Contract, ids, len(ids), c.names(true), func(_ int64, out []onnx.Tensor) error {
		for i, t := range out {
			values, err := t.Float32s()
			if err != nil {
				return err
			}
			if i >= len(c.products) {
				c.rounding[i-len(c.products)].Add(values)
				continue
			}
			reference, err := want[i].Float32s()
			if err != nil || len(reference) != len(values) {
				return errors.Join(err, fault.New(fault.Input, "comparing tensors", t.Name, fmt.Sprintf("it has shape %v, in the other graph %v", t.Dims, want[i].Dims), "give the FP32 graph that this one was made of"))
			}
			c.outputs[i].Add(reference, values, int(t.Dims[len(t.Dims)-1]))
		}
		return nil
	})
}

// result is every meter's verdict, ranked.
func (c *tensorComparison) result() []validate.TensorError {
	var all []validate.TensorError
	for _, m := range c.rounding {
		all = append(all, m.Result())
	}
	for _, m := range c.outputs {
		all = append(all, m.Result())
	}
	return validate.Rank(all)
}
