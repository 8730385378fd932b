package shape

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/onnx"
)

// What nodes force the inputs of program to be, whatever these are called: x float
// [0(x), 1(x), 6], y float [0(y), 1(y), 6], v int64 [0(v)].
func TestFollow(t *testing.T) {
	for _, c := range []struct{ nodes, x, y, v string }{
		{"Relu x", "0(x) 1(x) 6", "0(y) 1(y) 6", "0(v)"},
		{"Concat y,x axis=1", "0(x) 1(x) 6", "0(x) 1(y) 6", "0(v)"}, // of one batch
		{"Add x,y", "0(x) 1(x) 6", "0(x) 1(x) 6", "0(v)"},           // of one length, too
		// v is as long as y and x together.
		{"Concat y,x axis=1; ReduceSum t0,c_2 keepdims=0; Cast v to=1; Add t1,t2", "0(x) 1(x) 6", "0(x) 1(y) 6", "1(x) + 1(y)"},
		// What is selected from v is as long as x, and nothing else is said of it.
		{"Shape x; Gather t0,i_1; Range i_0,t1,i_1; Gather v,t2", "0(x) 1(x) 6", "0(y) 1(y) 6", "1(x)"},
		{"Shape x; Slice t0,c_1,c_2; Slice v,c_0,t1,c_0", "0(x) 1(x) 6", "0(y) 1(y) 6", "1(x)"},
		// Both halves of what v is split into.
		{"Shape y; Slice t0,c_1,c_2; Slice v,t1,c_9223372036854775807,c_0; Cast t2 to=1; ReduceSum x,c_2 keepdims=0; Add t3,t4", "0(x) 1(x) 6", "0(y) 1(y) 6", "1(x) + 1(y)"},
		// A contradiction is passed over: x is not longer than itself.
		{"Concat x,x axis=1; Add x,t0", "0(x) 1(x) 6", "0(y) 1(y) 6", "0(v)"},
		{"Einsum x,y; Add t0,x", "0(x) 1(x) 6", "0(y) 1(y) 6", "0(v)"},
	} {
		m := program(c.nodes)
		f := Follow(m)
		for name, want := range map[string]string{"x": c.x, "y": c.y, "v": c.v} {
			var got []string
			for _, d := range f.Dims(name) {
				got = append(got, d.String())
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %s is %v, want %s", c.nodes, name, got, want)
			}
		}
		if len(m.Graph().ValueInfo) != 0 {
			t.Errorf("%s: the graph was changed", c.nodes)
		}
	}
}

// A table that a range of the shape selects from is a limit, and one that data
// select from is none.
func TestLimits(t *testing.T) {
	for nodes, want := range map[string]string{
		"Shape x; Gather t0,i_1; Range i_0,t1,i_1; Gather c_5_5_5_5,t2":             "[4 1(x)]",
		"Shape x; Slice t0,c_1,c_2; Slice c_5_5_5_5,c_0,t1,c_0":                     "[4 1(x)]",
		"Shape x; Gather t0,i_1; Range i_0,t1,i_1; Add t2,i_2; Gather c_5_5_5_5,t3": "[4 1(x) + 2]",
		"Gather c_5_5_5_5,v":          "",
		"Slice c_5_5_5_5,c_0,c_2,c_0": "",
	} {
		got := ""
		for _, l := range Follow(program(nodes)).Limits() {
			got += fmt.Sprintf("[%d %s]", l.Size, l.Need)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", nodes, got, want)
		}
	}
}

// Ten thousand symbols in a row are solved without going through them again and
// again.
func TestFollowLongChains(t *testing.T) {
	m := onnx.New("chain")
	g := m.Graph()
	last := ""
	for i := range 10000 {
		name := fmt.Sprintf("i%d", i)
		g.Input = append(g.Input, onnx.ValueInfo(name, onnx.Float32, onnx.Sym("d")))
		if last != "" {
			g.Node = append(g.Node, onnx.Node("Add", "", []string{name, last}, []string{"s" + name}))
		}
		last = name
	}
	f := Follow(m)
	if d := f.Dims("i9999")[0]; !d.Equal(f.Dims("i0")[0]) {
		t.Errorf("the last is %s, the first %s", d, f.Dims("i0")[0])
	}
}
