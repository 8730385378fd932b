package calib

import "math"

// Loops are what sees every value. They are Go's, unless [Use] gave others, which
// must give the same bits: what was begun with one set is gone on with by another.
type Loops struct {
	// Extremes are the least and the greatest of the values, of which there is one at
	// least, by their bits in the order of integers; see ordered.
	Extremes func(values []float32) (least, most int32)
	// Moments are those of the values, of which there is one at least. Values are
	// summed in eight lanes, number i in lane i mod 8, each in turn; what is left over
	// is added to the sum of ((0+1)+(2+3))+((4+5)+(6+7)).
	Moments func(values []float32) Moments
	// Tally counts the magnitudes times one times two, which are below Bins, in bins
	// of 1; exact zeros are only told.
	Tally func(values []float32, one, two float32, counts *[Bins]int64) (zeros int64)
	// Columns adds whole rows to what is kept of each channel, but for Rows.
	Columns func(values []float32, c *ChannelSums)
}

var loops = Loops{extremesOf, momentsOf, tally, columns}

// Use makes this process count with other loops. Nothing may count meanwhile.
func Use(l Loops) { loops = l }

func extremesOf(values []float32) (least, most int32) {
	least, most = math.MaxInt32, math.MinInt32
	for _, v := range values {
		o := ordered(math.Float32bits(v))
		least, most = min(least, o), max(most, o)
	}
	return least, most
}

const lanes = 8

// momentsOf takes two passes. Products are converted, or some processors would
// round them together with the sum.
func momentsOf(values []float32) Moments {
	whole := len(values) - len(values)%lanes
	var sums, a2, a3, a4 [lanes]float64
	for i := 0; i < whole; i += lanes {
		for l, v := range values[i:][:lanes] {
			sums[l] += float64(v)
		}
	}
	sum := total(sums)
	for _, v := range values[whole:] {
		sum += float64(v)
	}
	mean := sum / float64(len(values))
	for i := 0; i < whole; i += lanes {
		for l, v := range values[i:][:lanes] {
			d := float64(v) - mean
			dd := d * d
			a2[l] += float64(dd)
			a3[l] += float64(dd * d)
			a4[l] += float64(dd * dd)
		}
	}
	m := Moments{Mean: mean, M2: total(a2), M3: total(a3), M4: total(a4)}
	for _, v := range values[whole:] {
		d := float64(v) - mean
		dd := d * d
		m.M2 += float64(dd)
		m.M3 += float64(dd * d)
		m.M4 += float64(dd * dd)
	}
	return m
}

func total(a [lanes]float64) float64 {
	return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]))
}

func tally(values []float32, one, two float32, counts *[Bins]int64) (zeros int64) {
	for _, v := range values {
		i := int32(v * one * two)
		i = (i ^ i>>31) - i>>31 // its magnitude
		if i == 0 && v == 0 {
			zeros++
			continue
		}
		counts[i&(Bins-1)]++
	}
	return zeros
}

func columns(values []float32, c *ChannelSums) {
	for width := len(c.Lo); len(values) > 0; values = values[width:] {
		c.row(values[:width])
	}
}
