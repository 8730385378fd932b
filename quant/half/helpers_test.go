package half

import (
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/quanttest"
)

func typed(t *testing.T, m *onnx.Model, o Options) *onnx.Model {
	t.Helper()
	h, _, err := Convert(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ranged is the table of what float16 is judged by, of random ids or of those in a
// file.
func ranged(t *testing.T, m *onnx.Model, ids ...string) *calib.Table {
	t.Helper()
	observe, err := Ranged(m)
	if err != nil {
		t.Fatal(err)
	}
	return quanttest.Observed(t, m, observe, ids...)
}
