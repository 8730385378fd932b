package calib

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Method turns a histogram into the magnitude that quantization maps to 127.
type Method struct {
	Name string  // "absmax", "percentile", "mse" or "entropy"
	P    float64 // percent; for percentile only
}

// Absmax takes the greatest magnitude: nothing is clipped.
func Absmax() Method { return Method{Name: "absmax"} }

// Percentile takes the magnitude that p percent of all values do not exceed.
func Percentile(p float64) Method { return Method{Name: "percentile", P: p} }

// MSE takes the magnitude that quantizes with the least mean squared error.
func MSE() Method { return Method{Name: "mse"} }

// Entropy takes the magnitude whose quantized distribution is nearest in
// Kullback-Leibler divergence, as TensorRT's calibrator does.
func Entropy() Method { return Method{Name: "entropy"} }

// ParseMethod reads "absmax", "percentile" (99.99), "percentile:99.9", "mse" or
// "entropy".
func ParseMethod(text string) (Method, error) {
	name, arg, hasArg := strings.Cut(text, ":")
	switch {
	case !hasArg && (name == "absmax" || name == "mse" || name == "entropy"):
		return Method{Name: name}, nil
	case name == "percentile" && !hasArg:
		return Percentile(99.99), nil
	case name == "percentile":
		if p, err := strconv.ParseFloat(arg, 64); err == nil && p > 0 && p <= 100 {
			return Percentile(p), nil
		}
	}
	return Method{}, fault.New(fault.Usage, "choosing the calibration method", text, "not a method that trtforge knows",
		"write absmax, mse, entropy, percentile, or percentile:P with P above 0 and up to 100")
}

// String is what ParseMethod reads.
func (m Method) String() string {
	if m.Name == "percentile" {
		return "percentile:" + strconv.FormatFloat(m.P, 'g', -1, 64)
	}
	return m.Name
}

func (m Method) orAbsmax() Method {
	if m.Name == "" {
		return Absmax()
	}
	return m
}

// Amax applies the method. It is never above the greatest magnitude, and never 0
// for a tensor that has any value but zero: where nearly all values are zero, a
// percentile would be, and everything else would be clipped away.
func (m Method) Amax(h *Histogram) (float32, error) {
	var a float32
	switch m.Name {
	case "absmax":
	case "percentile":
		a = h.Quantile(m.P / 100)
	case "mse":
		a = h.leastSquares()
	case "entropy":
		a = h.leastDivergence()
	default:
		return 0, fmt.Errorf("calibration method %q is not known", m.Name)
	}
	if top := h.Amax(); a <= 0 || a > top {
		return top, nil
	}
	return a, nil
}
