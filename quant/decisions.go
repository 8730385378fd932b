package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/rows"
)

// DecisionsVersion is the version of the decision list that this program writes
// and the newest that it reads.
const DecisionsVersion = 1

const decisionsKind = "decisions"

// Decisions is the file of what became of each matrix product. It may be edited
// and given back: then `quantized` of each node decides, and nothing else does.
type Decisions struct {
	Kind          string    `json:"kind"` // "decisions"
	SchemaVersion int       `json:"schema_version"`
	CreatedBy     string    `json:"created_by"`
	Model         string    `json:"model,omitempty"` // onnx.Model.Digest of the float model; "" where not known
	Table         string    `json:"table,omitempty"` // TableDigest of the ranges; "" without
	Precision     Precision `json:"precision,omitempty"`
	Smooth        Smoothing `json:"smooth,omitempty"`
	KeepKV        bool      `json:"keep_kv,omitempty"`
	IO            []string  `json:"io,omitempty"` // as in Recipe
	Decisions     []Choice  `json:"decisions"`    // in graph order
	Folds         []Fold    `json:"folds,omitempty"`

	extra keep.Fields // fields of writers that know more
}

// Choice is a decision with the figures behind it.
type Choice struct {
	Decision
	Lo          *float32     `json:"lo,omitempty"` // of the activation in the table
	Hi          *float32     `json:"hi,omitempty"`
	WeightBytes int64        `json:"weight_bytes,omitempty"` // of its weight as it is stored now
	FloatBytes  int64        `json:"float_bytes,omitempty"`  // of its weight if it were not quantized
	Sensitivity *Sensitivity `json:"sensitivity,omitempty"`  // where measured
}

// Sensitivity is what quantizing one product alone costs against the float model.
type Sensitivity struct {
	KL         rows.Number `json:"kl"` // nats a token, with its 95 % interval
	KLLo       rows.Number `json:"kl_lo"`
	KLHi       rows.Number `json:"kl_hi"`
	PPLRatio   rows.Number `json:"ppl_ratio"`
	Activation rows.Number `json:"kl_activation,omitempty"` // its activation alone; 0 = not measured
	Weight     rows.Number `json:"kl_weight,omitempty"`     // its weight alone
}

// TableDigest identifies the ranges that a decision list was made with.
func TableDigest(t *calib.Table) (string, error) {
	b, err := json.Marshal(t.Ranges)
	if err != nil {
		return "", fmt.Errorf("encoding the calibration table: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// NewDecisions is the list of what Apply made of a recipe. The table is the one
// that Apply was given.
func NewDecisions(out *Result, r Recipe, table *calib.Table) (*Decisions, error) {
	d := &Decisions{Kind: decisionsKind, SchemaVersion: DecisionsVersion, Model: out.Source, Precision: r.Precision, Smooth: r.Smooth, KeepKV: r.KeepKV, IO: r.IO, Folds: out.Folds, Decisions: []Choice{}}
	if table != nil {
		var err error
		if d.Table, err = TableDigest(table); err != nil {
			return nil, err
		}
	}
	byNode := map[string]Target{}
	for _, t := range out.Targets {
		byNode[t.Node] = t
	}
	for _, decision := range out.Decisions {
		c := Choice{Decision: decision}
		if t, ok := byNode[decision.Node]; ok {
			plain, quantized := t.Bytes(r.Precision.Float())
			if c.FloatBytes, c.WeightBytes = plain, plain; decision.Quantized {
				c.WeightBytes = quantized
			}
		}
		if out.Table != nil {
			if rg, ok := out.Table.Ranges[decision.Activation]; ok {
				c.Lo, c.Hi = &rg.Lo, &rg.Hi
			}
		}
		d.Decisions = append(d.Decisions, c)
	}
	return d, nil
}

// Fits tells whether the list was made for the model of that digest. A list that
// names no model fits all.
func (d *Decisions) Fits(model string) error {
	if d.Model == "" || d.Model == model {
		return nil
	}
	return fault.New(fault.Input, "using the decision list", "of model "+d.Model,
		"the model at hand is "+model, "give the list that belongs to this model, or quantize it without one")
}

// Choices is what the list says of each node, for [Recipe].
func (d *Decisions) Choices() map[string]bool {
	all := make(map[string]bool, len(d.Decisions))
	for _, c := range d.Decisions {
		all[c.Node] = c.Quantized
	}
	return all
}

// maxDecisions bounds an untrusted file: a hundred thousand products with long names.
const maxDecisions = 64 << 20

// ReadDecisions reads a list; path names it in errors, which are of class input:
// not JSON, another kind, a newer version, and everything in it that cannot be,
// all at once.
func ReadDecisions(r io.Reader, path string) (*Decisions, error) {
	f := keep.File{
		Doing: "reading the decision list", Path: path, Kind: decisionsKind, Version: DecisionsVersion, Max: maxDecisions,
		Fix: "quantize again, and edit `quantized` only", Again: "quantize again",
	}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	if err := checkEntries(b); err != nil {
		return nil, f.Bad(err)
	}
	d := &Decisions{}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	if err := d.check(); err != nil {
		return nil, f.Bad(err)
	}
	return d, nil
}

// checkEntries finds decisions with a field of another type or one that is not
// known, which an edit that misspelt `quantized` would leave without effect. Of the
// list itself unknown fields are kept.
func checkEntries(b []byte) error {
	var list struct {
		Decisions []json.RawMessage `json:"decisions"`
	}
	if json.Unmarshal(b, &list) != nil {
		return nil // who reads the whole says it
	}
	var errs []error
	for i, entry := range list.Decisions {
		var named struct {
			Node string `json:"node"`
		}
		_ = json.Unmarshal(entry, &named) // for the error alone
		d := json.NewDecoder(bytes.NewReader(entry))
		d.DisallowUnknownFields()
		err := d.Decode(&Choice{})
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			kind.Field = strings.TrimPrefix(kind.Field, "Decision.") // Choice embeds it
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("decision %d, node %q: %w", i+1, named.Node, keep.Explain(err)))
		}
	}
	return errors.Join(errs...)
}

// check finds everything that no list can say.
func (d *Decisions) check() error {
	var errs []error
	if d.Precision != "" {
		errs = append(errs, d.Precision.Check())
	}
	errs = append(errs, d.Smooth.Check())
	seen := map[string]bool{}
	for i, c := range d.Decisions {
		switch {
		case c.Node == "":
			errs = append(errs, fmt.Errorf("decision %d names no node", i+1))
		case seen[c.Node]:
			errs = append(errs, fmt.Errorf("node %q stands there twice", c.Node))
		}
		seen[c.Node] = true
	}
	return errors.Join(errs...)
}

// ReadDecisionsFile reads the list at path.
func ReadDecisionsFile(path string) (*Decisions, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading the decision list", path, err)
	}
	defer func() { _ = f.Close() }()
	return ReadDecisions(f, path)
}

// WriteFile writes the list, whole or not at all.
func (d *Decisions) WriteFile(path string) error { return fsx.WriteJSON(path, d) }

// plainDecisions is a Decisions without its methods.
type plainDecisions Decisions

// UnmarshalJSON keeps the fields that this program does not know.
func (d *Decisions) UnmarshalJSON(b []byte) (err error) {
	d.extra, err = keep.Unmarshal(b, (*plainDecisions)(d))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (d Decisions) MarshalJSON() ([]byte, error) { return keep.Marshal(plainDecisions(d), d.extra) }
