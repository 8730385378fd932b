package calib

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Method turns a histogram into the magnitude that quantization maps to 127.
type Method struct {
	Name string  // "absmax" or "percentile"
	P    float64 // percent; for percentile only
}

// Absmax takes the greatest magnitude: nothing is clipped.
func Absmax() Method { return Method{Name: "absmax"} }

// Percentile takes the magnitude that p percent of all values do not exceed.
func Percentile(p float64) Method { return Method{Name: "percentile", P: p} }

// ParseMethod reads "absmax", "percentile" (99.99) or "percentile:99.9".
func ParseMethod(text string) (Method, error) {
	name, arg, hasArg := strings.Cut(text, ":")
	switch {
	case name == "absmax" && !hasArg:
		return Absmax(), nil
	case name == "percentile" && !hasArg:
		return Percentile(99.99), nil
	case name == "percentile":
		if p, err := strconv.ParseFloat(arg, 64); err == nil && p > 0 && p <= 100 {
			return Percentile(p), nil
		}
	}
	return Method{}, fault.New(fault.Usage, "choosing the calibration method", text, "not a method that trtforge knows",
		"write absmax, percentile, or percentile:P with P above 0 and up to 100")
}

// String is what ParseMethod reads.
func (m Method) String() string {
	if m.Name == "percentile" {
		return "percentile:" + strconv.FormatFloat(m.P, 'g', -1, 64)
	}
	return m.Name
}

// Amax applies the method. It is never 0 for a tensor that has any value but
// zero: where nearly all values are zero, a percentile would be, and everything
// else would be clipped away.
func (m Method) Amax(h *Histogram) (float32, error) {
	switch m.Name {
	case "absmax":
		return h.Amax(), nil
	case "percentile":
		if q := h.Quantile(m.P / 100); q > 0 {
			return q, nil
		}
		return h.Amax(), nil
	}
	return 0, fmt.Errorf("calibration method %q is not known", m.Name)
}
