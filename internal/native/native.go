//go:build cgo

package native

// #cgo CFLAGS: -std=c11 -O3 -Wno-psabi
// #cgo noescape loops_extremes
// #cgo nocallback loops_extremes
// #cgo noescape loops_moments
// #cgo nocallback loops_moments
// #cgo noescape loops_tally
// #cgo nocallback loops_tally
// #cgo noescape loops_columns
// #cgo nocallback loops_columns
// #cgo noescape sum_exp
// #cgo nocallback sum_exp
// #cgo noescape largest
// #cgo nocallback largest
// #include "counting.h"
// #include "logits.h"
import "C"

import (
	"math"
	"unsafe"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/validate"
)

// Use makes this process count and score with the loops in C. Call it before anything
// does.
func Use() {
	calib.Use(counting)
	validate.Use(logSumExp)
}

var counting = calib.Loops{
	Extremes: func(values []float32) (least, most int32) {
		C.loops_extremes((*C.int32_t)(unsafe.Pointer(&values[0])), C.long(len(values)), (*C.int32_t)(&least), (*C.int32_t)(&most))
		return least, most
	},
	Moments: func(values []float32) calib.Moments {
		var m [4]float64
		C.loops_moments(float(values), C.long(len(values)), double(m[:]))
		return calib.Moments{Mean: m[0], M2: m[1], M3: m[2], M4: m[3]}
	},
	Tally: func(values []float32, one, two float32, counts *[calib.Bins]int64) (zeros int64) {
		return int64(C.loops_tally(float(values), C.long(len(values)), C.float(one), C.float(two), (*C.int64_t)(&counts[0])))
	},
	Columns: func(values []float32, c *calib.ChannelSums) {
		C.loops_columns(float(values), C.long(len(values)), C.long(len(c.Lo)), float(c.Lo), float(c.Hi), double(c.Sums), double(c.Squares))
	},
}

func logSumExp(logits []float32) (lse float64, top int) {
	v, n := float(logits), C.long(len(logits))
	top = int(C.largest(v, n))
	most := float64(logits[top])
	return most + math.Log(float64(C.sum_exp(v, n, C.double(most)))), top
}

func float(v []float32) *C.float   { return (*C.float)(&v[0]) }
func double(v []float64) *C.double { return (*C.double)(&v[0]) }
