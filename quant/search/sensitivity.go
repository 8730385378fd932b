package search

import (
	"context"
	"fmt"

	"github.com/trtforge/trtforge/internal/progress"
)

// Candidate is a matrix product that may be quantized.
type Candidate struct {
	Node      string `json:"node"`
	Float     int64  `json:"float_bytes"`     // of its weight as it is
	Quantized int64  `json:"quantized_bytes"` // of its INT8 weight with the scales
}

// Saved is how many bytes quantizing it saves.
func (c Candidate) Saved() int64 { return c.Float - c.Quantized }

// Effect is what quantizing one candidate alone costs.
type Effect struct {
	Node       string       `json:"node"`
	Both       Measurement  `json:"both"`                 // both operands, as in an INT8 graph
	Activation *Measurement `json:"activation,omitempty"` // its activation alone
	Weight     *Measurement `json:"weight,omitempty"`     // its weight alone
}

// Sensitivities measures each candidate alone, and its operands apart where the
// evaluator can and parts asks for it.
func Sensitivities(ctx context.Context, e Evaluator, candidates []Candidate, parts bool, p progress.Counter) ([]Effect, error) {
	apart, can := e.(Parts)
	parts = parts && can
	effects := make([]Effect, len(candidates))
	p.SetMax(int64(len(candidates)))
	for i, c := range candidates {
		alone := make(Subset, len(candidates)).with(i, true)
		m, err := e.Measure(ctx, alone)
		if err != nil {
			return nil, fmt.Errorf("measuring node %q: %w", c.Node, err)
		}
		effects[i] = Effect{Node: c.Node, Both: m}
		if parts {
			if err := effects[i].split(ctx, apart, alone); err != nil {
				return nil, fmt.Errorf("measuring the operands of node %q: %w", c.Node, err)
			}
		}
		p.Set(int64(i + 1))
	}
	return effects, nil
}

func (e *Effect) split(ctx context.Context, apart Parts, alone Subset) error {
	none := make(Subset, len(alone))
	activation, err := apart.MeasureParts(ctx, alone, none)
	if err != nil {
		return err
	}
	weight, err := apart.MeasureParts(ctx, none, alone)
	e.Activation, e.Weight = &activation, &weight
	return err
}
