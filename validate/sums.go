package validate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Sums are the sums of a figure over the scored tokens of each window, and over the
// windows at each position in them, from 0 on.
type Sums struct {
	Windows   Floats `json:"windows"`
	Positions Floats `json:"positions"`
}

func newSums(windows, positions int) Sums {
	return Sums{make(Floats, windows), make(Floats, positions)}
}

func (s *Sums) add(r *row, v float64) {
	s.Windows[r.Window] += v
	s.Positions[r.At] += v
}

// The quantiles that a score can tell, beside those above them.
const (
	quantileKL    = 0.99
	quantileLogit = 0.999
)

// rank is the index of a quantile among n sorted values by nearest rank: that of
// the smallest value with a share of at least q at or below it.
func rank(n int, q float64) int {
	return min(max(int(math.Ceil(q*float64(n)))-1, 0), n-1)
}

// kept is how many of the largest of n values tell their quantile q.
func kept(n int, q float64) int { return n - rank(n, q) }

// worst keeps the largest of the values that it is shown.
type worst struct {
	keep   int
	values []float64
}

func (l *worst) add(v float64) {
	if l.values = append(l.values, v); len(l.values) > 2*l.keep+64 {
		l.values = l.falling()
	}
}

// falling are the largest, the largest first.
func (l *worst) falling() []float64 {
	slices.SortFunc(l.values, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	return l.values[:min(l.keep, len(l.values))]
}

// Floats is a list of numbers that JSON carries as base64 of little-endian
// float64: exact, compact, and good for NaN and the infinities.
type Floats []float64

// MarshalJSON writes the base64 form.
func (f Floats) MarshalJSON() ([]byte, error) {
	raw := make([]byte, 0, 8*len(f))
	for _, v := range f {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

// UnmarshalJSON reads the base64 form.
func (f *Floats) UnmarshalJSON(text []byte) error {
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	if len(raw)%8 != 0 {
		return fmt.Errorf("%d bytes are not a list of numbers of 8", len(raw))
	}
	*f = make(Floats, len(raw)/8)
	for i := range *f {
		(*f)[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return nil
}
