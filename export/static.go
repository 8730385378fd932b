package export

import (
	"fmt"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Cache says how a graph keeps keys and values.
type Cache string

// The two forms of the cache. Concat puts what is new behind the past, so every
// step has other shapes. Static has a buffer of fixed length and writes into it:
// all decode steps have one shape, and each of them attends over the whole
// buffer, used or not.
const (
	Concat Cache = "concat"
	Static Cache = "static"
)

// known fills in the defaults that need no config.
func (o Options) known(dir string) (Options, error) {
	if o.Logits == "" {
		o.Logits = All
	}
	if o.Cache == "" {
		o.Cache = Concat
	}
	switch {
	case o.Logits != All && o.Logits != Last:
		return o, fault.New(fault.Usage, "exporting", dir, fmt.Sprintf("logits %q are not known", o.Logits), "use all or last")
	case o.Cache != Concat && o.Cache != Static:
		return o, fault.New(fault.Usage, "exporting", dir, fmt.Sprintf("cache %q is not known", o.Cache), "use concat or static")
	case o.Cache == Concat && o.Capacity != 0:
		return o, fault.New(fault.Usage, "exporting", dir, fmt.Sprintf("a cache that concatenates has no capacity (%d was asked for)", o.Capacity),
			"ask for a static cache, or for no capacity")
	}
	return o, nil
}

// sized fills in the capacity. One above the model's positions is refused: a
// column beyond them could never hold a token.
func (o Options) sized(dir string, positions int64) (Options, error) {
	if o.Cache != Static {
		return o, nil
	}
	if o.Capacity == 0 {
		o.Capacity = positions
	}
	if o.Capacity < 1 || o.Capacity > positions {
		return o, fault.New(fault.Usage, "exporting", dir, fmt.Sprintf("capacity %d is not between 1 and the model's %d positions", o.Capacity, positions),
			"choose the longest prompt and everything decoded after it")
	}
	return o, nil
}

// metadata says what the graph's shapes do not.
func (o Options) metadata(positions int64) []*onnxpb.StringStringEntryProto {
	all := []*onnxpb.StringStringEntryProto{
		{Key: MetaPositions, Value: strconv.FormatInt(positions, 10)},
		{Key: MetaLogits, Value: string(o.Logits)},
	}
	if o.Cache == Static {
		all = append(all, &onnxpb.StringStringEntryProto{Key: MetaCache, Value: string(Static)},
			&onnxpb.StringStringEntryProto{Key: MetaCapacity, Value: strconv.FormatInt(o.Capacity, 10)})
	}
	return all
}

// staticBias is attentionBias over a buffer: column j is open to the new
// position i if the mask says so and it is not behind the column that i is
// written to. So a column that is not written yet is closed even where a mask
// of ones says otherwise.
func (g *gpt2) staticBias(mask string) string {
	position := g.input("cache_position", onnx.Int64, seq())
	columns := g.op("Range", "/mask/columns", []string{g.scalarInt("zero", 0), g.scalarInt("capacity", g.capacity), g.scalarInt("one", 1)})
	rows := g.op("Unsqueeze", "/mask/rows", []string{position, g.ints("row_axis", 1)})
	causal := g.op("LessOrEqual", "/mask/causal", []string{columns, rows})
	return g.maskedWhere(causal, mask)
}

// store writes the new part of a cache, [B, H, S, D], into its buffer.
func (g *gpt2) store(name, buffer, part string) {
	g.op("ScatterElements", "/"+name+"/ScatterElements", []string{buffer, g.places(part), part}, "axis", 2)
}

// places are the indices of ScatterElements, the same in every layer: number
// [b, h, i, d] of the new part goes to column cache_position[i].
func (g *gpt2) places(part string) string {
	if g.write == "" {
		at := g.op("Unsqueeze", "/cache/column", []string{"cache_position", g.ints("column_axes", 0, 1, 3)})
		g.write = g.op("Expand", "/cache/places", []string{at, g.op("Shape", "/cache/Shape", []string{part})})
	}
	return g.write
}
