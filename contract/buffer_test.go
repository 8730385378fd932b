package contract

import (
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// lengths are the roles of the length of past, present and mask.
func lengths(c *Contract) string {
	found := map[Kind]string{}
	for _, t := range slices.Concat(c.Inputs, c.Outputs) {
		switch t.Kind {
		case KindPastKey, KindPresentKey:
			found[t.Kind] = string(t.Dims[2].Role)
		case KindMask:
			found[t.Kind] = string(t.Dims[1].Role)
		}
	}
	return strings.Join([]string{found[KindPastKey], found[KindPresentKey], found[KindMask]}, " ")
}

// GroupQueryAttention takes a cache that grows and one of full length; the graph
// is the same, and names or the caller say which it is.
func TestSharedBufferOfGroupQueryAttention(t *testing.T) {
	each := func(m *onnx.Model, prefix string, do func(name string)) {
		for _, v := range slices.Concat(m.Graph().Input, m.Graph().Output) {
			if strings.HasPrefix(v.GetName(), prefix) {
				do(v.GetName())
			}
		}
	}
	for name, c := range map[string]struct {
		change func(m *onnx.Model)
		bind   []string
		want   string
	}{
		"as exported": {func(*onnx.Model) {}, nil, "past total total"},
		"one name": {func(m *onnx.Model) {
			for _, p := range []string{"past", "present"} {
				each(m, p, func(n string) { call(m, n, 2, "max_sequence_length") })
			}
		}, nil, "buffer buffer total"},
		"one size": {func(m *onnx.Model) {
			for _, p := range []string{"past", "present"} {
				each(m, p, func(n string) { fix(m, n, 2, 32) })
			}
		}, nil, "buffer buffer total"},
		"no names, bound": {unname, []string{"past_key_values.0.key:2=buffer"}, "buffer buffer total"},
		"no names, grows": {unname, []string{"past_key_values.0.key:2=past"}, "past total total"},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, "genai-llama")
			c.change(m)
			bound, err := ParseBindings(c.bind)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Infer(m, bound...)
			if err != nil {
				t.Fatal(err)
			}
			if l := lengths(got); l != c.want {
				t.Errorf("past, present, mask are %s, want %s", l, c.want)
			}
			if got.MaxPositions != 40 || !got.PositionsTable {
				t.Errorf("%d positions, %v: the cosines have 40 rows", got.MaxPositions, got.PositionsTable)
			}
		})
	}
}

// written is attention() with the new keys written into the cache by op.
func written(op string) *onnx.Model {
	m := attention()
	g := m.Graph()
	g.Input[1] = onnx.ValueInfo("cache", onnx.Float32, onnx.Sym("c"), onnx.Fixed(1), onnx.Fixed(16), onnx.Fixed(2))
	g.Input = append(g.Input, onnx.ValueInfo("at", onnx.Int64, onnx.Sym("w")))
	m.SetWeight(onnx.Ints("rank", []int64{3}, 0, 1, 3))
	m.SetWeight(onnx.Ints("columns", []int64{1, 1, 16, 1}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
	k := slices.IndexFunc(g.Node, func(n *onnxpb.NodeProto) bool { return n.GetOpType() == "Concat" })
	node := func(op, out string, in ...string) *onnxpb.NodeProto { return onnx.Node(op, "", in, []string{out}) }
	var with []*onnxpb.NodeProto
	switch op {
	case "ScatterElements":
		scatter := onnx.Node(op, "", []string{"cache", "places", "new"}, []string{"grown"}, "axis", 2)
		with = []*onnxpb.NodeProto{node("Unsqueeze", "wide_at", "at", "rank"), node("Shape", "like", "new"), node("Expand", "places", "wide_at", "like"), scatter}
	case "ScatterND": // over columns first
		turn := func(in, out string) *onnxpb.NodeProto {
			return onnx.Node("Transpose", "", []string{in}, []string{out}, "perm", []int64{2, 1, 0, 3})
		}
		m.SetWeight(onnx.Ints("last", []int64{1}, -1))
		with = []*onnxpb.NodeProto{turn("cache", "by_column"), turn("new", "new_by_column"), node("Unsqueeze", "places", "at", "last"),
			node(op, "stored", "by_column", "places", "new_by_column"), turn("stored", "grown")}
	case "Where":
		with = []*onnxpb.NodeProto{node("Unsqueeze", "wide_at", "at", "rank"), node("Equal", "here", "columns", "wide_at"), node("Where", "grown", "here", "new", "cache")}
	}
	g.Node = slices.Replace(g.Node, k, k+1, with...)
	for _, n := range g.Node { // values are read from the cache
		if n.GetOutput()[0] == "mixed" {
			n.Input[1] = "grown"
		}
	}
	return m
}

// A node that writes into the cache makes past and present one buffer, whatever
// they are called, and its index the input that says where to.
func TestBufferThatIsWrittenInto(t *testing.T) {
	for _, op := range []string{"ScatterElements", "ScatterND", "Where"} {
		m := written(op)
		_, err := Infer(m) // one cache tensor for keys and values is no contract
		f := newFlow(m)
		if len(f.pairs) != 1 || f.pairs[0].axis != -1 || f.inputs[f.pairs[0].past].GetName() != "cache" {
			t.Errorf("%s: pairs %+v (%v)", op, f.pairs, err)
		}
		if at := len(f.inputs) - 1; op != "Where" && !f.column[at] {
			t.Errorf("%s: nothing is known of the input that says where to write", op)
		}
	}
}
