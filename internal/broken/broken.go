// Package broken breaks graphs in one place, for tests of what is to catch them.
package broken

import (
	"fmt"
	"math"
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Cache shifts the cached keys of every layer by one column: decode alone shows it.
func Cache(m *onnx.Model) {
	for _, w := range []*onnx.Weight{
		onnx.Ints("roll_from", []int64{1}, -1), onnx.Ints("roll_end", []int64{1}, math.MaxInt64),
		onnx.Ints("roll_zero", []int64{1}, 0), onnx.Ints("roll_axis", []int64{1}, 2),
	} {
		m.SetWeight(w)
	}
	for _, input := range m.Graph().GetInput() {
		past := input.GetName()
		if !strings.HasSuffix(past, ".key") {
			continue
		}
		before(m, past, past+"/rolled",
			onnx.Node("Slice", past+"/last", []string{past, "roll_from", "roll_end", "roll_axis"}, []string{past + "/last"}),
			onnx.Node("Slice", past+"/rest", []string{past, "roll_zero", "roll_from", "roll_axis"}, []string{past + "/rest"}),
			onnx.Node("Concat", past+"/roll", []string{past + "/last", past + "/rest"}, []string{past + "/rolled"}, "axis", 2))
	}
}

// Positions puts every token that follows a cache one position too far: decode alone
// shows it, and perplexity hardly.
func Positions(m *onnx.Model) {
	m.SetWeight(onnx.Ints("off_one", nil, 1))
	m.SetWeight(onnx.Ints("off_axis", []int64{1}, 0))
	past := ""
	for _, input := range m.Graph().GetInput() {
		if strings.HasSuffix(input.GetName(), ".key") {
			past = input.GetName()
		}
	}
	before(m, "position_ids", "position_ids/off",
		onnx.Node("Shape", "position_ids/past", []string{past}, []string{"position_ids/past"}, "start", 2, "end", 3),
		onnx.Node("Squeeze", "position_ids/columns", []string{"position_ids/past", "off_axis"}, []string{"position_ids/columns"}),
		onnx.Node("Min", "position_ids/one", []string{"position_ids/columns", "off_one"}, []string{"position_ids/one"}),
		onnx.Node("Add", "position_ids/add", []string{"position_ids", "position_ids/one"}, []string{"position_ids/off"}))
}

// Mask has the graph take every column for a token: fine until a row is padded.
func Mask(m *onnx.Model) {
	m.SetWeight(onnx.Ints("one", []int64{1}, 1))
	before(m, "attention_mask", "attention_mask/ones",
		onnx.Node("Shape", "attention_mask/shape", []string{"attention_mask"}, []string{"attention_mask/shape"}),
		onnx.Node("Expand", "attention_mask/expand", []string{"one", "attention_mask/shape"}, []string{"attention_mask/ones"}))
}

// Value changes one value of a float32 weight by what change makes of it.
func Value(m *onnx.Model, weight string, at int, change func(float32) float32) error {
	w := m.Weight(weight)
	if w == nil {
		return fmt.Errorf("no weight %s", weight)
	}
	values, err := w.Float32s()
	if err != nil {
		return err
	}
	values[at] = change(values[at])
	m.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
	return nil
}

// before puts nodes in front of every consumer of value, which reads what they
// make of it.
func before(m *onnx.Model, value, made string, nodes ...*onnxpb.NodeProto) {
	g := m.Graph()
	for _, n := range g.Node {
		for i, in := range n.Input {
			if in == value {
				n.Input[i] = made
			}
		}
	}
	g.Node = append(nodes, g.Node...)
}
