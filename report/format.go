package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/rows"
)

// significant is v to three significant digits without an exponent, never fewer
// than all digits before the point.
func significant(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.ReplaceAll(fmt.Sprint(v), "+Inf", "∞")
	case v == 0:
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return minus(strconv.FormatFloat(v, 'f', min(max(digits, 0), 9), 64))
}

// minus has the sign that is as wide as a plus.
func minus(s string) string { return strings.Replace(s, "-", "−", 1) }

// milliseconds is a time with its unit.
func milliseconds(v float64) string {
	switch {
	case v >= 60e3:
		return significant(v/60e3) + " min"
	case v >= 1e3:
		return significant(v/1e3) + " s"
	case v > 0 && v < 0.1:
		return significant(v*1e3) + " µs"
	}
	return significant(v) + " ms"
}

// size is a number of bytes with a unit of powers of 1000.
func size(bytes float64) string {
	for _, u := range []struct {
		unit string
		per  float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if bytes >= u.per {
			return significant(bytes/u.per) + " " + u.unit
		}
	}
	return fmt.Sprintf("%.0f bytes", bytes)
}

// percent is a ratio's distance from 1 as a signed percentage.
func percent(ratio float64) string {
	v := 100 * (ratio - 1)
	if math.Abs(v) < 5e-5 {
		return "±0 %"
	}
	s := significant(v) + " %"
	if math.Abs(v) < 0.01 {
		s = minus(strconv.FormatFloat(v, 'f', 4, 64)) + " %"
	}
	if v > 0 {
		s = "+" + s
	}
	return s
}

// scientific is a small positive number with an exponent where it needs one.
func scientific(v float64) string {
	if v == 0 || v >= 1e-3 || math.IsNaN(v) {
		return significant(v)
	}
	exp := int(math.Floor(math.Log10(math.Abs(v))))
	return fmt.Sprintf("%s × 10%s", significant(v/math.Pow(10, float64(exp))), superscript(exp))
}

// superscript is a whole number in raised digits.
func superscript(n int) string {
	return strings.Map(func(r rune) rune {
		if r == '-' {
			return '⁻'
		}
		return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[r-'0']
	}, strconv.Itoa(n))
}

// count is a whole number with thin spaces between groups of three digits.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// grouped is a figure to three significant digits, or all before the point in groups.
func grouped(v float64) string {
	if v >= 1000 && v < 1e15 {
		return count(int64(math.Round(v)))
	}
	return significant(v)
}

// large is a count of parameters: "124 M".
func large(n int64) string {
	switch {
	case n >= 1e9:
		return significant(float64(n)/1e9) + " B"
	case n >= 1e6:
		return significant(float64(n)/1e6) + " M"
	}
	return count(n)
}

// figure is a row's number in its unit.
func figure(v float64, unit string) string {
	switch unit {
	case "ms":
		return milliseconds(v)
	case "bytes":
		return size(v)
	case "nats":
		return scientific(v)
	case "1", "":
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return minus(count(int64(v)))
		}
		return minus(strconv.FormatFloat(v, 'f', 5, 64))
	}
	return significant(v) + " " + unit
}

// interval is a row's 95 % interval in words.
func interval(r rows.Row) string {
	if r.Lo == r.Hi {
		return ""
	}
	if !bounded(r.Lo, r.Hi) {
		return "no interval"
	}
	return between(figure(r.Lo, r.Unit), figure(r.Hi, r.Unit))
}

func bounded(lo, hi float64) bool {
	return !math.IsInf(lo, 0) && !math.IsInf(hi, 0) && !math.IsNaN(lo) && !math.IsNaN(hi)
}

// short is the beginning of a digest.
func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(12, len(digest))]
}
