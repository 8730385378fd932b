package contract

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Binding says what a dimension of an input is, or an element of its contents
// where these decide shapes. It has a role, or a size, or the limits of a free one.
type Binding struct {
	Input  string
	Dim    int     // or the element
	Value  bool    // it is about contents
	Role   Role    // "" where only the size is said
	Size   int64   // fixed at that; 0 = not
	Limits *Limits // of role Free
	Where  string  // the file and line, or the flag, for errors
}

// Bindings are several, the last one of a dimension counts.
type Bindings []Binding

// maxSize is more than a dimension can be: products of a few must not overflow.
const maxSize = math.MaxInt32

// ParseBinding reads "input:dim=what", where what is a role (batch, seq, past,
// total, buffer, static), a size ("8"), or limits ("1..64", "1..8..64" with the
// size to tune for in the middle; without one that is the largest). The input's
// name may hold both signs: the last ":" before the last "=" counts. What is not
// of that form is an error of class usage. "input:values=what" is about the
// contents of a shape tensor, "input:values.1=what" about its second element.
func ParseBinding(s string) (Binding, error) {
	b := Binding{Where: "--bind " + s}
	bad := func(cause string) (Binding, error) {
		return b, fault.New(fault.Usage, "reading binding", strconv.Quote(s), cause, "want input:dim=batch|seq|past|total|buffer|static, a size, or min..max or min..opt..max")
	}
	eq := strings.LastIndexByte(s, '=')
	if eq < 0 {
		return bad("there is no =")
	}
	colon := strings.LastIndexByte(s[:eq], ':')
	if colon < 1 {
		return bad("there is no input:dim before the =")
	}
	dim := s[colon+1 : eq]
	if element, ok := strings.CutPrefix(dim, "values"); ok {
		b.Value = true
		if dim = strings.TrimPrefix(element, "."); element == "" {
			dim = "0"
		}
	}
	n, err := strconv.Atoi(dim)
	if err != nil || n < 0 {
		return bad(fmt.Sprintf("dimension %q is not a number from 0", dim))
	}
	b.Input, b.Dim = s[:colon], n
	if err := b.say(s[eq+1:]); err != nil {
		return bad(err.Error())
	}
	return b, nil
}

// ParseBindings reads several, and reports all that are wrong with them at once.
func ParseBindings(all []string) (Bindings, error) {
	var out Bindings
	var errs []error
	for _, s := range all {
		b, err := ParseBinding(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, b)
	}
	return out, join(errs)
}

// BindShape says what all dimensions of an input are, as a pipeline file does:
// text as in [ParseBinding], numbers, and "" for what is to be inferred.
func BindShape(input string, dims []any, where string) (Bindings, error) {
	var out Bindings
	for i, d := range dims {
		b := Binding{Input: input, Dim: i, Where: where}
		var err error
		switch d := d.(type) {
		case string:
			if d == "" {
				continue
			}
			err = b.say(d)
		case int64:
			err = b.say(strconv.FormatInt(d, 10))
		default:
			err = fmt.Errorf("%v is neither text nor a whole number", d)
		}
		if err != nil {
			return nil, fault.New(fault.Usage, "reading inputs", where, fmt.Sprintf("%s: dimension %d: %v", input, i, err),
				`want a role (batch, seq, past, total, buffer, static), a size, "min..max", "min..opt..max", or "" for what the graph says`)
		}
		out = append(out, b)
	}
	return out, nil
}

// say reads what stands behind the =.
func (b *Binding) say(what string) error {
	switch role := Role(what); role {
	case Batch, Seq, Past, Total, Buffer, Static:
		b.Role = role
		return nil
	}
	if n, err := strconv.ParseInt(what, 10, 64); err == nil {
		if n < 1 || n > maxSize {
			return fmt.Errorf("size %d is not from 1 to %d", n, maxSize)
		}
		b.Size = n
		return nil
	}
	parts := strings.Split(what, "..")
	if len(parts) != 2 && len(parts) != 3 {
		return fmt.Errorf("%q is no role, no size and no range", what)
	}
	var n [3]int64
	for i, p := range parts {
		var err error
		if n[i], err = strconv.ParseInt(p, 10, 64); err != nil || n[i] < 0 || n[i] > maxSize {
			return fmt.Errorf("%q is not a size from 0 to %d", p, maxSize)
		}
	}
	l := &Limits{Min: n[0], Opt: n[1], Max: n[len(parts)-1]}
	if l.Min > l.Opt || l.Opt > l.Max || l.Max < 1 {
		return fmt.Errorf("%q is not min <= opt <= max", what)
	}
	b.Role, b.Limits = Free, l
	return nil
}

// String is the binding as [ParseBinding] reads it.
func (b Binding) String() string {
	what := string(b.Role)
	switch {
	case b.Limits != nil:
		what = fmt.Sprintf("%d..%d..%d", b.Limits.Min, b.Limits.Opt, b.Limits.Max)
	case b.Size > 0:
		what = strconv.FormatInt(b.Size, 10)
	}
	if b.Value {
		return fmt.Sprintf("%s:values.%d=%s", b.Input, b.Dim, what)
	}
	return fmt.Sprintf("%s:%d=%s", b.Input, b.Dim, what)
}
