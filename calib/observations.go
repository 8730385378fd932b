package calib

import (
	"errors"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/internal/beside"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/onnx"
)

// Observations are what a calibration has seen, of a whole plan or of a part of
// it, finished or not: the file that shards are merged from and that an
// interrupted calibration goes on from. They are not safe for concurrent use.
type Observations struct {
	Kind          string                  `json:"kind"` // "observations"
	SchemaVersion int                     `json:"schema_version"`
	CreatedBy     string                  `json:"created_by"`
	Model         string                  `json:"model"` // onnx.Model.Digest of the calibrated model
	Text          string                  `json:"text"`  // TextDigest of the token ids, or RandomText
	Plan          string                  `json:"plan"`  // digest of Plan.Digest and of how inputs are fed
	Of            int                     `json:"of"`    // how many parts the plan was divided into, 1 or more
	Parts         []int                   `json:"parts"` // which of them these are, ascending from 0
	Done          int                     `json:"done"`  // batches that were run
	Batches       int                     `json:"batches"`
	Samples       int                     `json:"samples"` // windows that were run
	Tokens        int64                   `json:"tokens"`  // tokens that were run, decode steps included
	Until         *Until                  `json:"until,omitempty"`
	Stopped       *Stopped                `json:"stopped,omitempty"` // nil unless the stop rule ended it
	Curve         *Curve                  `json:"curve,omitempty"`
	Tensors       map[string]*Observation `json:"tensors"`

	path  string      // of the file that they were read from; "" of none
	extra keep.Fields // fields of writers that know more
}

// NewObservations observes the given tensors.
func NewObservations(observe []string) *Observations {
	o := &Observations{Kind: observationsKind, SchemaVersion: ObservationsVersion, Of: 1, Parts: []int{0}, Tensors: map[string]*Observation{}}
	for _, name := range observe {
		o.Tensors[name] = &Observation{}
	}
	return o
}

// Whole tells whether the plan was run to its end, or as far as the stop rule
// asked.
func (o *Observations) Whole() bool { return o.Stopped != nil || o.Done == o.Batches }

// Observe counts the values of those tensors that are observed and passes over
// the others. Tensors are counted side by side, each by one goroutine, so the
// result does not depend on how many there are. NaN or an infinity is an error
// of class input that holds a [NotFinite]; that of the first tensor is returned.
func (o *Observations) Observe(tensors []onnx.Tensor) error {
	errs := make([]error, len(tensors))
	beside.Do(len(tensors), beside.All, func(i int) {
		if seen := o.Tensors[tensors[i].Name]; seen != nil {
			errs[i] = seen.AddTensor(tensors[i])
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// amax applies the method to every tensor that has a value, side by side, or takes
// what the curve ends with, which was found so.
func (o *Observations) amax(m Method) (map[string]float32, error) {
	if ends := o.Curve.ends(m, o.Samples); ends != nil {
		return ends, nil
	}
	names := slices.Sorted(maps.Keys(o.Tensors))
	all := make([]float32, len(names))
	errs := make([]error, len(names))
	beside.Do(len(names), beside.All, func(i int) { all[i], errs[i] = m.Amax(&o.Tensors[names[i]].Histogram) })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	amax := map[string]float32{}
	for i, name := range names {
		amax[name] = all[i]
	}
	return amax, nil
}

// Table applies the method to every tensor. Tensors that were never run are an
// error that names all.
func (o *Observations) Table(m Method) (*Table, error) {
	t := &Table{Kind: tableKind, SchemaVersion: SchemaVersion, CreatedBy: o.CreatedBy, Model: o.Model, Text: o.Text, Method: m.String(),
		Samples: o.Samples, Tokens: o.Tokens, Ranges: map[string]Range{}}
	amax, err := o.amax(m)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.Tensors)) {
		seen := o.Tensors[name]
		if seen.Count == 0 {
			errs = append(errs, fault.New(fault.Input, "calibrating tensor", name, "it never had a value", "run at least one sample"))
			continue
		}
		t.Ranges[name] = Range{Lo: seen.Min, Hi: seen.Max, Amax: amax[name], Channels: seen.Channels.table()}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}
