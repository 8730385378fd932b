package calib

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// SchemaVersion is the version of the table that this program writes and the
// newest that it reads.
const SchemaVersion = 1

const tableKind = "table"

// Table is the calibrated ranges of a model's activations.
type Table struct {
	Kind          string           `json:"kind"` // "table"
	SchemaVersion int              `json:"schema_version"`
	CreatedBy     string           `json:"created_by"`
	Model         string           `json:"model"`  // onnx.Model.Digest of the calibrated model
	Text          string           `json:"text"`   // sha256 of the token ids
	Method        string           `json:"method"` // as ParseMethod reads it
	Samples       int              `json:"samples"`
	Tokens        int64            `json:"tokens"`
	Ranges        map[string]Range `json:"ranges"` // by tensor name
	// FoldedFrom is the digest of the model whose table this was before smoothing
	// folded that model into another; "" where nothing was folded.
	FoldedFrom string `json:"folded_from,omitempty"`

	extra keep.Fields // fields of writers that know more
}

// Range is what was seen of a tensor and what was made of it.
type Range struct {
	Lo   float32 `json:"lo"`   // least value seen
	Hi   float32 `json:"hi"`   // greatest value seen
	Amax float32 `json:"amax"` // the magnitude that maps to 127
	// Channels are the same by channel, which SmoothQuant balances; nil in tables
	// of programs that do not write them.
	Channels *Channels `json:"channels,omitempty"`
	// Centred says that smoothing moved each channel's middle to 0, and so its mean
	// away from it: the bias behind takes what rounded weights lose of the mean.
	Centred bool `json:"centred,omitempty"`
}

// Channels are what was seen of each channel, an index of a tensor's last axis.
// The slices are of one length, the size of that axis.
type Channels struct {
	Lo  []float32 `json:"lo"`  // least value
	Hi  []float32 `json:"hi"`  // greatest value
	RMS []float32 `json:"rms"` // root of the mean square
	// Mean is the mean; nil in tables of programs that do not write it.
	Mean []float32 `json:"mean,omitempty"`
}

// maxTable bounds an untrusted file: a thousand tensors with the channels of a
// large model.
const maxTable = 256 << 20

// Read reads a table; path names it in errors, which are of class input: not
// JSON, another kind, a newer version, or ranges that cannot be (all of them at
// once).
func Read(r io.Reader, path string) (*Table, error) {
	f := keep.File{Doing: "reading the calibration table", Path: path, Kind: tableKind, Version: SchemaVersion, Max: maxTable, Fix: "calibrate again"}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	t := &Table{}
	if err := t.UnmarshalJSON(b); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	if err := t.check(); err != nil {
		return nil, f.Bad(err)
	}
	return t, nil
}

// ReadFile reads the table at path.
func ReadFile(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading the calibration table", path, err)
	}
	defer func() { _ = f.Close() }()
	return Read(f, path)
}

// WriteFile writes the table, whole or not at all.
func (t *Table) WriteFile(path string) error { return writeFlat(path, t) }

// check finds every range that no calibration can have made.
func (t *Table) check() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(t.Ranges)) {
		r := t.Ranges[name]
		if err := r.Check(); err != nil {
			errs = append(errs, fmt.Errorf("tensor %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// amaxSlack is how far amax may be above the greatest magnitude seen: decimals that
// were rounded, and no more, for no method gives a greater one.
const amaxSlack = 1.001

// Check tells why a range cannot be used: not finite, lo above hi, a magnitude
// that is negative or above all that was seen, or channels that do not fit together.
func (r Range) Check() error {
	for _, v := range []float32{r.Lo, r.Hi, r.Amax} {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("its range is not finite")
		}
	}
	switch {
	case r.Lo > r.Hi:
		return fmt.Errorf("lo %g is above hi %g", r.Lo, r.Hi)
	case r.Amax < 0:
		return fmt.Errorf("amax %g is negative", r.Amax)
	case float64(r.Amax) > amaxSlack*max(-float64(r.Lo), float64(r.Hi)):
		return fmt.Errorf("amax %g is above all that was seen, from %g to %g", r.Amax, r.Lo, r.Hi)
	case r.Channels != nil:
		return r.Channels.check()
	}
	return nil
}

func (c *Channels) check() error {
	if len(c.Lo) != len(c.Hi) || len(c.Lo) != len(c.RMS) || c.Mean != nil && len(c.Lo) != len(c.Mean) {
		return fmt.Errorf("%d, %d and %d channels do not fit together", len(c.Lo), len(c.Hi), len(c.RMS))
	}
	for i, m := range c.Mean {
		if !(math.Abs(float64(m)) <= math.MaxFloat32) {
			return fmt.Errorf("the mean %g of channel %d cannot be", m, i)
		}
	}
	for i := range c.Lo {
		if !(-math.MaxFloat32 <= c.Lo[i] && c.Lo[i] <= c.Hi[i] && c.Hi[i] <= math.MaxFloat32 && c.RMS[i] >= 0 && c.RMS[i] <= math.MaxFloat32) {
			return fmt.Errorf("channel %d, from %g to %g, cannot be", i, c.Lo[i], c.Hi[i])
		}
	}
	return nil
}

// Fits tells whether the table was made for the model of that digest.
func (t *Table) Fits(model string) error {
	if t.Model == model {
		return nil
	}
	if t.FoldedFrom != "" && t.FoldedFrom == model {
		return fault.New(fault.Input, "using the calibration table", "of model "+t.Model,
			"it is the table of this model as smoothing folded it, which quantize writes beside its graph", "give the table that calibrate wrote")
	}
	return fault.New(fault.Input, "using the calibration table", "of model "+t.Model,
		"the model at hand is "+model, "calibrate this model, or give the table that belongs to it")
}

// Serves tells whether the table can quantize what those tensors feed in the model
// of that digest: everything that keeps it from that at once, another model,
// tensors that it lacks, ranges that are zero or cannot be.
func (t *Table) Serves(model string, tensors []string) error {
	errs := []error{t.Fits(model)}
	for _, name := range tensors {
		r, ok := t.Ranges[name]
		err := r.Check()
		switch {
		case !ok:
			err = errors.New("the table does not have it")
		case err == nil && r.Amax == 0:
			err = errors.New("its range is zero: it never had another value")
		}
		errs = append(errs, fault.Wrap(fault.Input, "using the calibration table for tensor", name, err, "calibrate this model, on more text"))
	}
	return errors.Join(errs...)
}

// plain is a Table without its methods.
type plain Table

// UnmarshalJSON keeps the fields that this program does not know.
func (t *Table) UnmarshalJSON(b []byte) (err error) {
	t.extra, err = keep.Unmarshal(b, (*plain)(t))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (t Table) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(t), t.extra) }
