package explain

import (
	"slices"
	"testing"
)

// An error follows from one that stands before it. What only says that something
// failed, and what names its cause, may come first.
func TestCausesStandBefore(t *testing.T) {
	const (
		set     = "[E:onnxruntime:] TensorRT EP failed to call nvinfer1::IExecutionContext::setInputShape() for input 'input_ids'\n"
		memory  = "RuntimeError: CUDA error: out of memory\n"
		enqueue = "[E:onnxruntime:] TensorRT EP execution context enqueue failed.\n"
		other   = "[I] fine\n"
	)
	shape := outside("input_ids", []int64{4, 27}, []int64{1, 1}, []int64{1, 1}, 0) + "\n"
	for name, test := range map[string]struct {
		log   string
		roots []string
	}{
		"an effect before":                   {set + other + memory, []string{"gpu-out-of-memory", "ort-set-input-shape"}},
		"an effect before and after":         {set + other + memory + set, []string{"gpu-out-of-memory", "ort-set-input-shape"}},
		"a wrapper before":                   {enqueue + other + memory, []string{"gpu-out-of-memory"}},
		"a cause before":                     {shape + set, []string{"shape-outside-profile"}},
		"a cause of the same input, flushed": {set + shape, []string{"shape-outside-profile"}},
	} {
		var roots []string
		for _, f := range explained(t, test.log, Context{}).Roots() {
			roots = append(roots, f.ID)
		}
		if slices.Sort(roots); !slices.Equal(roots, test.roots) {
			t.Errorf("%s: %v, want %v", name, roots, test.roots)
		}
	}
}
