package contract

import (
	"strings"
	"testing"
)

// TestInterchangeable: a cache goes between graphs of one shape, type and scale.
func TestInterchangeable(t *testing.T) {
	graph := func(change func(c *Contract)) *Contract {
		c := &Contract{Layers: 2, Heads: 4, HeadDim: 8,
			Inputs:  []Tensor{{Name: "ids", Kind: KindIDs, Type: "int64"}, {Name: "past", Kind: KindPastKey, Type: "float"}},
			Outputs: []Tensor{{Name: "logits", Kind: KindLogits, Type: "float"}, {Name: "present", Kind: KindPresentKey, Type: "float"}}}
		change(c)
		return c
	}
	same := graph(func(*Contract) {})
	for name, c := range map[string]struct {
		change func(c *Contract)
		want   string
	}{
		"the same": {func(*Contract) {}, ""},
		"layers":   {func(c *Contract) { c.Layers = 3 }, "layers: 2 and 3"},
		"heads":    {func(c *Contract) { c.Heads = 2 }, "heads: 4 and 2"},
		"size":     {func(c *Contract) { c.HeadDim = 16 }, "head size: 8 and 16"},
		"type":     {func(c *Contract) { c.Inputs[1].Type = "float16" }, "types of the cache: float and float16"},
		"scale":    {func(c *Contract) { c.KVScale = "0123456789abcdef" }, "as the model makes them and rescaled by 0123456789ab"},
	} {
		err := Interchangeable(same, graph(c.change))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	scaled := graph(func(c *Contract) { c.KVScale = "ab" })
	if err := Interchangeable(scaled, graph(func(c *Contract) { c.KVScale = "ab" })); err != nil {
		t.Errorf("two of one scale: %v", err)
	}
}
