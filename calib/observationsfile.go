package calib

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// ObservationsVersion is the version of the observations file that this program
// writes and the newest that it reads.
const ObservationsVersion = 1

const observationsKind = "observations"

// Bounds of an untrusted file. A tensor takes a mebibyte in memory and rarely a
// quarter of that in the file.
const (
	maxObservations = 512 << 20 // bytes
	maxTensors      = 1024
	maxParts        = 1 << 16
)

// ReadObservations reads an observations file; path names it in errors, which are
// of class input: not JSON, another kind, a newer version, or observations that
// no calibration can have made (all of them at once).
func ReadObservations(r io.Reader, path string) (*Observations, error) {
	f := keep.File{
		Doing: "reading the observations", Path: path, Kind: observationsKind, Version: ObservationsVersion, Max: maxObservations, Fix: "calibrate again",
	}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	tensors := 0 // nothing is allocated for more than there can be
	keep.Each(b, func(name string, value []byte) {
		if strings.EqualFold(name, "tensors") {
			keep.Each(value, func(string, []byte) { tensors++ })
		}
	})
	if tensors > maxTensors {
		return nil, f.Bad(fmt.Errorf("they are of %d tensors, more than %d", tensors, maxTensors))
	}
	o := &Observations{}
	if err := o.UnmarshalJSON(b); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	if err := o.check(); err != nil {
		return nil, f.Bad(err)
	}
	return o, nil
}

// ReadObservationsFile reads the observations at path.
func ReadObservationsFile(path string) (*Observations, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading the observations", path, err)
	}
	defer func() { _ = f.Close() }()
	o, err := ReadObservations(f, path)
	if err == nil {
		o.path = path
	}
	return o, err
}

// WriteFile writes the observations, whole or not at all.
func (o *Observations) WriteFile(path string) error { return writeFlat(path, o) }

// check finds everything that no calibration can have made.
func (o *Observations) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if o.Of < 1 || len(o.Parts) == 0 || !slices.IsSorted(o.Parts) || len(slices.Compact(slices.Clone(o.Parts))) != len(o.Parts) ||
		o.Parts[0] < 0 || o.Parts[len(o.Parts)-1] >= o.Of || o.Of > maxParts {
		bad("parts %v of %d cannot be", o.Parts, o.Of)
	}
	if o.Done < 0 || o.Done > o.Batches || o.Samples < 0 || o.Tokens < 0 {
		bad("%d of %d batches, %d samples and %d tokens cannot be", o.Done, o.Batches, o.Samples, o.Tokens)
	}
	if o.Until != nil && !(o.Until.Percent > 0) {
		bad("a stop rule of %g %% cannot be", o.Until.Percent)
	}
	if o.Curve != nil {
		errs = append(errs, o.Curve.check(o))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Tensors)) {
		if o.Tensors[name] == nil {
			bad("tensor %q: nothing", name)
		} else if err := o.Tensors[name].check(); err != nil {
			bad("tensor %q: %w", name, err)
		}
	}
	return errors.Join(errs...)
}

// check tells why a curve of these observations cannot be.
func (c *Curve) check(o *Observations) error {
	if c.Every < 1 || len(c.Samples) > curvePoints || !slices.IsSorted(c.Samples) || len(c.Samples) > 0 && c.Samples[0] < 1 {
		return fmt.Errorf("a curve with the points %v after every %d batches cannot be", c.Samples, c.Every)
	}
	if _, err := ParseMethod(c.Method); err != nil {
		return err
	}
	names := maps.Clone(c.Amax)
	for name := range o.Tensors { // each has an amax at every point: going on adds to all
		names[name] = c.Amax[name]
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		unfit := slices.ContainsFunc(c.Amax[name], func(a float32) bool { return !(a >= 0 && float64(a) <= math.MaxFloat32) })
		if o.Tensors[name] == nil || len(c.Amax[name]) != len(c.Samples) || unfit {
			return fmt.Errorf("the curve of tensor %q does not fit its points", name)
		}
	}
	return nil
}

// plainObservations is Observations without its methods.
type plainObservations Observations

// UnmarshalJSON keeps the fields that this program does not know.
func (o *Observations) UnmarshalJSON(b []byte) (err error) {
	o.extra, err = keep.Unmarshal(b, (*plainObservations)(o))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (o Observations) MarshalJSON() ([]byte, error) {
	return keep.Marshal(plainObservations(o), o.extra)
}
