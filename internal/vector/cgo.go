//go:build cgo

package vector

// #cgo CFLAGS: -O3
// #include "vector.h"
import "C"

import (
	"math"
	"unsafe"
)

func init() { LogSumExp = logSumExp }

func logSumExp(logits []float32) (lse float64, top int) {
	v, n := (*C.float)(unsafe.SliceData(logits)), C.int64_t(len(logits))
	top = int(C.largest(v, n))
	most := float64(logits[top])
	return most + math.Log(float64(C.sum_exp(v, n, C.double(most)))), top
}
