package half

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/quant/quanttest"
)

// TestSupportIsONNXs holds the table of late operators to ONNX's own schemas.
func TestSupportIsONNXs(t *testing.T) {
	late := quanttest.Decode[map[string]map[string]int64](t, quanttest.Oracle(t, "support")[0])
	for name, got := range map[string]map[string]int64{"float16": halfFrom, "bfloat16": brainFrom} {
		if d := cmp.Diff(late[name], got); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}
