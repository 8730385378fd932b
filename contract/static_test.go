package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

func static(t *testing.T) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 96, Positions: 24}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{Cache: export.Static, Capacity: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestStaticCache(t *testing.T) {
	c, err := Infer(static(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := factsOf(c), (facts{8, 2, 4, 8, 96, 20, "all"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if c.Capacity() != 20 {
		t.Errorf("capacity %d, want 20", c.Capacity())
	}
	if got := c.BufferBytes(3); got != 2*2*3*4*20*8*4 {
		t.Errorf("%d bytes of buffers", got)
	}
	cache := []int64{2, 4, 20, 8}
	want := map[Kind][]int64{
		KindIDs: {2, 3}, KindPositions: {2, 3}, KindMask: {2, 20}, KindCachePosition: {3}, KindLogits: {2, 3, 96},
		KindPastKey: cache, KindPastValue: cache, KindPresentKey: cache, KindPresentValue: cache,
	}
	for _, tensor := range append(append([]Tensor{}, c.Inputs...), c.Outputs...) {
		for _, past := range []int64{0, 5, 17} { // a step's shapes do not depend on what came before
			if d := cmp.Diff(want[tensor.Kind], c.Shape(tensor, 2, 3, past)); d != "" {
				t.Errorf("%s: %s", tensor.Name, d)
			}
		}
	}
	other, err := Infer(load(t, "gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	if other.Capacity() != 0 {
		t.Errorf("a cache that grows has capacity %d", other.Capacity())
	}
}

// What tells where to write is known by the node that it goes into, whatever it
// and its length are called.
func TestStaticCacheWithoutNames(t *testing.T) {
	m := static(t)
	for _, n := range m.Graph().GetNode() {
		for i, input := range n.Input {
			if input == "cache_position" {
				n.Input[i] = "where"
			}
		}
	}
	value(m, "cache_position").Name = "where"
	call(m, "where", 0, "places")
	c, err := Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	if in := c.input("where"); in == nil || in.Kind != KindCachePosition || in.Dims[0].Role != Seq {
		t.Errorf("%+v", in)
	}
}

func TestStaticCachesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *onnx.Model)
		want   string
	}{
		"a length that varies": {func(m *onnx.Model) { call(m, "past_key_values.1.key", 2, "n") }, "past_key_values.1.key: dimension 2 varies"},
		"two lengths":          {func(m *onnx.Model) { fix(m, "attention_mask", 1, 19) }, "past_key_values.0.key: dimension 2 is 20, the buffer of attention_mask is 19"},
		"places of float": {func(m *onnx.Model) {
			value(m, "cache_position").GetType().GetTensorType().ElemType = int32(onnx.Float32)
		}, "cache_position: its type is float"},
		"metadata that lie":     {func(m *onnx.Model) { m.Proto.MetadataProps = nil; state(m, metaCapacity, "21") }, `"21", the buffer is 20`},
		"a place and no buffer": {func(m *onnx.Model) { m.Graph().Input = m.Graph().Input[:4]; m.Graph().Output = m.Graph().Output[:1] }, "no input is a past key or value"},
	} {
		t.Run(name, func(t *testing.T) {
			m := static(t)
			c.change(m)
			_, err := Infer(m)
			if fault.Exit(err) != 4 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
