package tableio

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/trtforge/trtforge/calib"
)

// maxName bounds a tensor's name in a foreign file.
const maxName = 4096

// smallestNormal is the least float32 of full precision. ONNX Runtime's readers
// fail below it (std::stof) or misread (its own decoding of the hexadecimal).
const smallestNormal = 0x1p-126

// table collects the entries of a foreign file.
type table struct {
	calib.Table
	errs []error
}

func newTable(method string) *table {
	return &table{Table: calib.Table{Kind: "table", SchemaVersion: calib.SchemaVersion, Method: method, Ranges: map[string]calib.Range{}}}
}

// add adds the magnitude of a tensor; where says which entry it is.
func (t *table) add(where, name string, amax float32) {
	t.addRange(where, name, calib.Range{Lo: -amax, Hi: amax, Amax: amax})
}

func (t *table) addRange(where, name string, r calib.Range) {
	_, twice := t.Ranges[name]
	switch {
	case badName(name) != nil:
		t.refuse(where, "%w", badName(name))
	case twice:
		t.refuse(where, "tensor %q occurs twice", name)
	default:
		if err := magnitude(r.Amax); err != nil {
			t.refuse(where, "tensor %q: %w", name, err)
		}
		t.Ranges[name] = r
	}
}

// badName tells why no tensor can have that name.
func badName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("a name of %d bytes", len(name))
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %.80q is not UTF-8", name)
	}
	return nil
}

// mostRefused bounds how many faults of one file are listed.
const mostRefused = 20

func (t *table) refuse(where, format string, args ...any) {
	switch {
	case len(t.errs) < mostRefused:
		t.errs = append(t.errs, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
	case len(t.errs) == mostRefused:
		t.errs = append(t.errs, errors.New("and more"))
	}
}

// done is the table, or all that is wrong with it.
func (t *table) done() (*calib.Table, error) {
	if len(t.errs) == 0 && len(t.Ranges) == 0 {
		return nil, errors.New("it has no tensor")
	}
	return &t.Table, errors.Join(t.errs...)
}

// magnitude tells why a value cannot be the magnitude that becomes 127.
func magnitude(v float32) error {
	switch f := float64(v); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return fmt.Errorf("its magnitude %v is not finite", v)
	case v <= 0:
		return fmt.Errorf("its magnitude %v is not above zero", v)
	case v < smallestNormal:
		return fmt.Errorf("its magnitude %v is too small for float32", v)
	}
	return nil
}

// names are the tensors of a table that is to be written, in the order of their
// bytes, and every one that a foreign form cannot hold as an error.
func names(t *calib.Table, check func(name string, amax float32) error) ([]string, error) {
	all := slices.Sorted(maps.Keys(t.Ranges))
	var errs []error
	for _, name := range all {
		err := cmp.Or(badName(name), magnitude(t.Ranges[name].Amax))
		if err == nil && check != nil {
			err = check(name, t.Ranges[name].Amax)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tensor %q: %w", name, err))
		}
	}
	if len(all) == 0 {
		errs = append(errs, errors.New("the table has no tensor"))
	}
	return all, errors.Join(errs...)
}
