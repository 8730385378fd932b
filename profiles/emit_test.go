package profiles

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestEmit(t *testing.T) {
	all := []Profile{
		{Inputs: []Range{{Input: "input_ids", Min: []int64{1, 8}, Opt: []int64{1, 16}, Max: []int64{4, 32}}, {Input: "past_key_values.0.key", Min: []int64{1, 4, 0, 64}, Opt: []int64{1, 4, 0, 64}, Max: []int64{4, 4, 0, 64}}}},
		{Inputs: []Range{{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 1}}, {Input: "past_key_values.0.key", Min: []int64{1, 4, 8, 64}, Opt: []int64{1, 4, 19, 64}, Max: []int64{4, 4, 63, 64}}}},
	}
	got, err := EmitORT(all)
	if err != nil {
		t.Fatal(err)
	}
	want := Text{
		Min: "input_ids:1x8,past_key_values.0.key:1x4x0x64,input_ids:1x1,past_key_values.0.key:1x4x8x64",
		Opt: "input_ids:1x16,past_key_values.0.key:1x4x0x64,input_ids:1x1,past_key_values.0.key:1x4x19x64",
		Max: "input_ids:4x32,past_key_values.0.key:4x4x0x64,input_ids:4x1,past_key_values.0.key:4x4x63x64",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	args, err := EmitTrtexec(all)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{
		"--profile=0", "--minShapes=input_ids:1x8,past_key_values.0.key:1x4x0x64", "--optShapes=input_ids:1x16,past_key_values.0.key:1x4x0x64", "--maxShapes=input_ids:4x32,past_key_values.0.key:4x4x0x64",
		"--profile=1", "--minShapes=input_ids:1x1,past_key_values.0.key:1x4x8x64", "--optShapes=input_ids:1x1,past_key_values.0.key:1x4x19x64", "--maxShapes=input_ids:4x1,past_key_values.0.key:4x4x63x64",
	}, args); d != "" {
		t.Error(d)
	}
	if args, err = EmitTrtexec(all[:1]); err != nil || args[0][:6] != "--minS" {
		t.Errorf("of one profile: %v, %v", args, err)
	}
	for _, name := range []string{"", "a:0", "a,b"} {
		if _, err := EmitTrtexec([]Profile{{Inputs: []Range{{Input: name}}}}); fault.Exit(err) != 4 {
			t.Errorf("input %q: %v", name, err)
		}
	}
}
