package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// Fault is what is wrong with a tensor's values, the worst of them.
type Fault int

// From good to bad. Masks hold -Inf in healthy graphs.
const (
	Finite Fault = iota
	MinusInf
	PlusInf
	NaN
)

func (f Fault) String() string { return [...]string{"finite", "-Inf", "+Inf", "NaN"}[f] }

// Origin is the node that makes the first value which is not finite.
type Origin struct {
	Node   string `json:"node"`
	Op     string `json:"op"`
	Tensor string `json:"tensor"` // the output that is not finite
	Value  string `json:"value"`  // NaN, +Inf or -Inf
	// From is where an infinity in the node's inputs comes from, which made the NaN.
	From *Origin `json:"from,omitempty"`
}

func (o *Origin) String() string {
	text := fmt.Sprintf("node %s (%s) is the first whose output is not finite: %s in %s", o.Node, o.Op, o.Value, o.Tensor)
	if o.From != nil {
		text += fmt.Sprintf("; the %s in its input comes from node %s (%s)", o.From.Value, o.From.Node, o.From.Op)
	}
	return text
}

// Cuts are the places between the nodes of a graph, and the float values that
// cross each.
type Cuts struct {
	nodes []*onnxpb.NodeProto
	made  map[string]int // by which node
	used  map[string]int // by which node last; the graph's outputs behind all
	infos map[string]*onnxpb.ValueInfoProto
}

// NewCuts reads a graph, whose nodes are in topological order.
func NewCuts(m *onnx.Model) *Cuts {
	all := m.Clone()
	_ = shape.Infer(all) // a value whose type is not known may be a float
	g := all.Graph()
	c := &Cuts{nodes: g.GetNode(), made: map[string]int{}, used: map[string]int{}, infos: map[string]*onnxpb.ValueInfoProto{}}
	for _, v := range g.GetValueInfo() {
		c.infos[v.GetName()] = v
	}
	for i, n := range c.nodes {
		for _, out := range n.GetOutput() {
			if out != "" {
				c.made[out] = i
			}
		}
		for _, in := range n.GetInput() {
			c.used[in] = i
		}
	}
	for _, v := range g.GetOutput() {
		c.infos[v.GetName()], c.used[v.GetName()] = v, len(c.nodes)
	}
	return c
}

// float tells whether a value is, or may be, of a float type.
func (c *Cuts) float(name string) bool {
	v := c.infos[name]
	if v == nil {
		return c.made[name] < len(c.nodes) && !integers[c.nodes[c.made[name]].GetOpType()]
	}
	t, _ := onnx.TypeOf(v)
	return t.IsFloat()
}

// integers are operators that never give a float.
var integers = map[string]bool{"Shape": true, "Size": true, "NonZero": true, "ArgMax": true, "QuantizeLinear": true, "Equal": true, "Greater": true, "Less": true, "Not": true, "And": true, "Or": true, "IsNaN": true}

// Makes tells whether a node of the graph makes the value.
func (c *Cuts) Makes(name string) bool {
	_, made := c.made[name]
	return made
}

// Show is a copy of the graph with these values as outputs, besides those that it
// has. Its weights stay those of the graph, so that all such copies can share them.
func (c *Cuts) Show(m *onnx.Model, names []string) *onnx.Model {
	open := m.Clone()
	g := open.Graph()
	have := map[string]bool{}
	for _, v := range g.GetOutput() {
		have[v.GetName()] = true
	}
	for _, name := range names {
		if have[name] {
			continue
		}
		info := c.infos[name]
		if info == nil {
			info = &onnxpb.ValueInfoProto{Name: name} // the runtime infers the type
		}
		g.Output, have[name] = append(g.Output, info), true
	}
	g.ValueInfo = slices.DeleteFunc(g.GetValueInfo(), func(v *onnxpb.ValueInfoProto) bool { return have[v.GetName()] })
	return open
}

// crossing are the float values that nodes up to and with at make and later ones,
// or the graph's caller, use.
func (c *Cuts) crossing(at int) (names []string) {
	for i, n := range c.nodes[:at+1] {
		for _, out := range n.GetOutput() {
			if out != "" && i <= at && c.used[out] > at && c.float(out) {
				names = append(names, out)
			}
		}
	}
	return names
}

// Origin bisects the graph. faults fetches values in the run whose results are not
// finite. It is nil where they are finite after all.
//
// Where the values that cross a cut are all sound, what is wrong at the end is made
// behind it; where one is not, before it or right there. So log2 of the number of
// nodes runs find a node that makes a bad value of good ones.
func (c *Cuts) Origin(faults func(names []string) (map[string]Fault, error)) (*Origin, error) {
	last := len(c.nodes) - 1
	end, err := faults(c.crossing(last))
	if err != nil {
		return nil, err
	}
	worst := Finite
	for _, f := range end {
		worst = max(worst, f)
	}
	if worst == Finite {
		return nil, nil
	}
	o, at, err := c.bisect(last, worst, faults)
	if err != nil || o == nil || worst != NaN {
		return o, err
	}
	inputs, err := faults(c.floatInputs(at))
	if err != nil {
		return nil, err
	}
	for _, f := range inputs {
		if f == PlusInf && at > 0 { // -Inf alone is a mask, as a rule
			o.From, _, err = c.bisect(at-1, PlusInf, faults)
			return o, err
		}
	}
	return o, nil
}

// bisect finds the node up to last that first makes a value as bad as that.
func (c *Cuts) bisect(last int, bad Fault, faults func([]string) (map[string]Fault, error)) (*Origin, int, error) {
	good := -1
	for last-good > 1 {
		at := good + (last-good)/2
		found, err := faults(c.crossing(at))
		if err != nil {
			return nil, 0, err
		}
		sound := true
		for _, f := range found {
			sound = sound && f < bad
		}
		if sound {
			good = at
		} else {
			last = at
		}
	}
	n := c.nodes[last]
	o := &Origin{Node: n.GetName(), Op: n.GetOpType(), Value: bad.String(), Tensor: strings.Join(n.GetOutput(), ", ")}
	if o.Node == "" {
		o.Node = o.Tensor
	}
	return o, last, nil
}

// floatInputs are the values that a node takes from others.
func (c *Cuts) floatInputs(at int) (names []string) {
	for _, in := range c.nodes[at].GetInput() {
		if _, made := c.made[in]; made && c.float(in) {
			names = append(names, in)
		}
	}
	return names
}
