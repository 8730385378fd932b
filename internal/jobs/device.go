package jobs

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/onnx"
)

// KV is where the cache of a model on a GPU lies between two runs.
type KV string

// The places. On the host it crosses the bus twice a step, so a time per token
// that was measured so is not the GPU's.
const (
	KVHost   KV = "host"
	KVDevice KV = "device"
)

// connect opens the model on its provider.
func (m Model) connect() (*ort.Session, error) {
	o := ort.Options{Weights: m.Weights, Threads: m.Threads, Spin: m.Spin, Optimize: m.Optimize, Provider: m.Provider}
	if m.Provider != nil && m.KV == KVDevice {
		o.Device = "Cuda"
	}
	s, err := ort.Open(m.Path, o)
	if err != nil || m.Steps == "" {
		return s, err
	}
	is, err := steps(m.Contract)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	o.Device = "" // what one session places, both can bind
	decode, err := ort.Open(m.Steps, o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Steps(decode, is)
	return s, nil
}

// steps tells runs that feed one column after others from those that do not.
func steps(c *contract.Contract) (func(in []onnx.Tensor) bool, error) {
	if c == nil {
		return nil, fault.New(fault.Usage, "opening", "an engine of two phases", "it has no contract to tell them apart", "give the contract of its graph")
	}
	one := map[string]int{}  // input -> its dimension that is 1 in a step
	past := map[string]int{} // input -> its dimension that is more than 0 in one
	for _, t := range c.Inputs {
		for i, d := range t.Dims {
			switch {
			case t.Kind == contract.KindIDs && d.Role == contract.Seq:
				one[t.Name] = i
			case d.Role == contract.Past:
				past[t.Name] = i
			}
		}
	}
	if len(one) == 0 {
		return nil, fmt.Errorf("the contract names no input of token ids of any length")
	}
	return func(in []onnx.Tensor) bool {
		for _, t := range in {
			if i, ok := one[t.Name]; ok && t.Dims[i] != 1 {
				return false
			}
			if i, ok := past[t.Name]; ok && t.Dims[i] == 0 {
				return false
			}
		}
		return true
	}, nil
}

// warnings are what samples of this model have to say. Where the cache lay is what
// was seen, not what was asked for: a static cache stays on the host either way.
func (m Model) warnings(cacheOnHost bool) []string {
	if m.Provider != nil && cacheOnHost {
		return []string{bench.KVHost}
	}
	return nil
}
