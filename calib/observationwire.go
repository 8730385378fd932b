package calib

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// wire is the file form of an Observation. Bins are the counts as varints, from
// the first bin on, where 0 is followed by how many bins are empty; what is after
// the last full one is left out. Numbers of channels are little-endian. JSON has
// all of them in base64.
type wire struct {
	Count    int64         `json:"count"`
	Zeros    int64         `json:"zeros"`
	Lo       float32       `json:"lo"`
	Hi       float32       `json:"hi"`
	Moments  Moments       `json:"moments"`
	Exp      int           `json:"exp,omitempty"`
	Bins     []byte        `json:"bins,omitempty"`
	Channels *wireChannels `json:"channels,omitempty"`
	Varies   bool          `json:"varies,omitempty"`
}

type wireChannels struct {
	Rows    int64  `json:"rows"`
	Lo      []byte `json:"lo"`      // float32
	Hi      []byte `json:"hi"`      // float32
	Sums    []byte `json:"sums"`    // float64
	Squares []byte `json:"squares"` // float64
}

// MarshalJSON writes the file form, the same bytes for equal observations.
func (o *Observation) MarshalJSON() ([]byte, error) {
	w := wire{Count: o.Count, Zeros: o.Zeros, Lo: o.Min, Hi: o.Max, Moments: o.Moments, Varies: o.Varies}
	if o.Counts != nil {
		w.Exp, w.Bins = o.Exp, packCounts(o.Counts)
	}
	if c := o.Channels; c != nil {
		w.Channels = &wireChannels{Rows: c.Rows}
		w.Channels.Lo, _ = binary.Append(nil, binary.LittleEndian, c.Lo)
		w.Channels.Hi, _ = binary.Append(nil, binary.LittleEndian, c.Hi)
		w.Channels.Sums, _ = binary.Append(nil, binary.LittleEndian, c.Sums)
		w.Channels.Squares, _ = binary.Append(nil, binary.LittleEndian, c.Squares)
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the file form; check tells whether it can be.
func (o *Observation) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*o = Observation{Moments: w.Moments, Varies: w.Varies}
	o.Count, o.Zeros, o.Min, o.Max = w.Count, w.Zeros, w.Lo, w.Hi
	if w.Bins != nil {
		counts, err := unpackCounts(w.Bins)
		if err != nil {
			return err
		}
		o.Exp, o.Counts = w.Exp, counts
	}
	if c := w.Channels; c != nil {
		n := len(c.Lo) / 4
		if n < 1 || n > maxChannels || len(c.Lo) != 4*n || len(c.Hi) != 4*n || len(c.Sums) != 8*n || len(c.Squares) != 8*n {
			return fmt.Errorf("channels of %d, %d, %d and %d bytes do not fit together", len(c.Lo), len(c.Hi), len(c.Sums), len(c.Squares))
		}
		o.Channels = &ChannelSums{c.Rows, make([]float32, n), make([]float32, n), make([]float64, n), make([]float64, n)}
		for i := range n {
			o.Channels.Lo[i] = math.Float32frombits(binary.LittleEndian.Uint32(c.Lo[4*i:]))
			o.Channels.Hi[i] = math.Float32frombits(binary.LittleEndian.Uint32(c.Hi[4*i:]))
			o.Channels.Sums[i] = math.Float64frombits(binary.LittleEndian.Uint64(c.Sums[8*i:]))
			o.Channels.Squares[i] = math.Float64frombits(binary.LittleEndian.Uint64(c.Squares[8*i:]))
		}
	}
	return nil
}

func packCounts(counts []int64) (b []byte) {
	empty := uint64(0)
	for _, n := range counts {
		if n == 0 {
			empty++
			continue
		}
		if empty > 0 {
			b = binary.AppendUvarint(append(b, 0), empty)
			empty = 0
		}
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func unpackCounts(b []byte) ([]int64, error) {
	counts := make([]int64, Bins)
	for at := uint64(0); len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxInt64 || at >= Bins {
			return nil, errors.New("its bins are damaged")
		}
		if b = b[size:]; n > 0 {
			counts[at] = int64(n)
			at++
			continue
		}
		empty, size := binary.Uvarint(b)
		if size <= 0 || empty > Bins-at {
			return nil, errors.New("its bins are damaged")
		}
		b, at = b[size:], at+empty
	}
	return counts, nil
}

// check tells why an observation cannot be one.
func (o *Observation) check() error {
	if err := (Range{Lo: o.Min, Hi: o.Max}).Check(); err != nil {
		return err
	}
	for _, v := range []float64{o.Moments.Mean, o.Moments.M2, o.Moments.M3, o.Moments.M4} {
		if v-v != 0 {
			return errors.New("its moments are not finite")
		}
	}
	left := o.Count - o.Zeros
	if o.Count < 0 || o.Zeros < 0 || left < 0 {
		return fmt.Errorf("%d values of which %d are zero cannot be", o.Count, o.Zeros)
	}
	top := 0
	for i, n := range o.Counts {
		if left -= n; left < 0 {
			return errors.New("its bins hold more values than it counts")
		}
		if n > 0 {
			top = i
		}
	}
	if left > 0 {
		return fmt.Errorf("its bins lack %d values", left)
	}
	if err := o.checkTop(top); err != nil {
		return err
	}
	return o.checkChannels()
}

// checkTop tells whether the greatest magnitude lies in the last full bin and
// the range is no larger than it must be.
func (o *Observation) checkTop(last int) error {
	_, exp := math.Frexp(float64(o.Amax()))
	switch {
	case o.Counts == nil && o.Amax() == 0:
		return nil
	case o.Counts == nil, o.Amax() == 0, o.Exp != exp, int(math.Ldexp(float64(o.Amax()), -exp)*Bins) != last:
		return errors.New("its bins do not end at its greatest magnitude")
	}
	return nil
}

func (o *Observation) checkChannels() error {
	c := o.Channels
	switch {
	case c == nil:
		return nil
	case o.Varies:
		return errors.New("it has channels although they vary")
	case c.Rows < 1, c.Rows > math.MaxInt64/maxChannels, c.Rows*int64(len(c.Lo)) != o.Count:
		return fmt.Errorf("%d rows of %d channels are not its %d values", c.Rows, len(c.Lo), o.Count)
	}
	for i := range c.Lo {
		if !(o.Min <= c.Lo[i] && c.Lo[i] <= c.Hi[i] && c.Hi[i] <= o.Max && math.Abs(c.Sums[i]) <= math.MaxFloat64 && c.Squares[i] >= 0 && c.Squares[i] <= math.MaxFloat64) {
			return fmt.Errorf("channel %d cannot be", i)
		}
	}
	return nil
}
