package native

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
)

// What C counts is bit for bit what Go counts: tensors whose rows are no multiple of
// a lane, ranges that grow, zeros of both signs, subnormals, and the greatest floats.
func TestSameBits(t *testing.T) {
	tensors := some(rand.New(rand.NewPCG(7, 7)))
	inGo := observed(t, tensors)
	Use()
	for i, want := range inGo {
		if d := cmp.Diff(want, observed(t, tensors)[i]); d != "" {
			t.Errorf("tensors %d, Go's less C's: %s", i, d)
		}
	}
}

// NaN and infinities are found at the same place.
func TestNotFinite(t *testing.T) {
	Use()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		values := make([]float32, 5000)
		values[4321] = float32(bad)
		err := (&calib.Observation{}).AddTensor(tensor(values, 1, 5000))
		if err == nil || !strings.Contains(err.Error(), "value 4321 of tensor") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func some(r *rand.Rand) (all [][]onnx.Tensor) {
	for _, width := range []int{1, 3, 8, 17, 768, 1000, 3072} {
		for _, scale := range []float64{1, 1e-42, 1e-30, 1e37, 0} {
			var one []onnx.Tensor
			for rows := range 5 {
				values := make([]float32, (rows+1)*width)
				for i := range values {
					v := r.NormFloat64() * scale * math.Exp(3*r.NormFloat64())
					values[i] = float32(max(-math.MaxFloat32, min(math.MaxFloat32, v)))
					if r.IntN(5) == 0 {
						values[i] = float32(math.Copysign(0, v))
					}
				}
				one = append(one, tensor(values, rows+1, width))
			}
			all = append(all, one)
		}
	}
	return all
}

func observed(t *testing.T, all [][]onnx.Tensor) []*calib.Observation {
	t.Helper()
	var seen []*calib.Observation
	for _, tensors := range all {
		o := &calib.Observation{}
		for _, x := range tensors {
			if err := o.AddTensor(x); err != nil {
				t.Fatal(err)
			}
		}
		seen = append(seen, o)
	}
	return seen
}

func tensor(values []float32, dims ...int) onnx.Tensor {
	t := onnx.Tensor{Name: "x", Type: onnx.Float32}
	for _, d := range dims {
		t.Dims = append(t.Dims, int64(d))
	}
	t.Bytes, _ = binary.Append(nil, binary.LittleEndian, values)
	return t
}
