package half

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// halver rewrites a graph node by node in topological order.
type converter struct {
	*regions
	half    onnx.DType            // the narrow type
	io      map[string]onnx.DType // what each float graph input and output becomes
	used    graph.Names
	weights map[string]*onnx.Weight // float32 weights as they were

	as     map[string]map[onnx.DType]string // the names under which a float value exists in each type
	native map[string]onnx.DType            // the type a float value is made in
	nodes  []*onnxpb.NodeProto              // the new graph
	stands map[string]string                // value made in a second type -> value it stands for
	levels map[string]*onnxpb.NodeProto     // dequantized value -> its DequantizeLinear as it was
}

func newConverter(m *onnx.Model, r *regions, o Options) (*converter, error) {
	io, err := ioTypes(m, r, o)
	if err != nil {
		return nil, err
	}
	g := m.Graph()
	h := &converter{
		regions: r, half: o.Type, io: io, used: graph.UsedNames(g), weights: map[string]*onnx.Weight{},
		as: map[string]map[onnx.DType]string{}, native: map[string]onnx.DType{}, stands: map[string]string{},
		levels: map[string]*onnxpb.NodeProto{},
	}
	for _, t := range g.GetInitializer() {
		if onnx.DType(t.GetDataType()) == onnx.Float32 {
			h.weights[t.GetName()] = m.Weight(t.GetName())
		}
	}
	return h, nil
}

func (h *converter) convert() error {
	g := h.m.Graph()
	for _, v := range g.GetInput() {
		if h.types[v.GetName()] == onnx.Float32 {
			t := h.io[v.GetName()]
			retype(v, t)
			h.made(v.GetName(), v.GetName(), t)
		}
	}
	for _, n := range g.GetNode() {
		if err := h.node(n); err != nil {
			return err
		}
	}
	for _, v := range g.GetOutput() {
		if t, ok := h.native[v.GetName()]; ok {
			if name := h.as[v.GetName()][h.io[v.GetName()]]; name == v.GetName() {
				t = h.io[v.GetName()]
			}
			retype(v, t)
		}
	}
	g.Node = h.nodes
	h.valueInfo()
	return nil
}

// node rewrites one node: its float inputs in the type it computes in, its
// float outputs noted as of that type.
func (h *converter) node(n *onnxpb.NodeProto) error {
	t := onnx.Float32
	if h.narrow(n) {
		t = h.half
	}
	if n.GetOpType() == "DequantizeLinear" {
		h.levels[n.GetOutput()[0]] = proto.Clone(n).(*onnxpb.NodeProto)
	}
	for i, in := range n.GetInput() {
		if in == "" || h.types[in] != onnx.Float32 {
			continue
		}
		scale := i == 1 && (n.GetOpType() == "QuantizeLinear" || n.GetOpType() == "DequantizeLinear")
		name, err := h.need(in, t, scale)
		if err != nil {
			return err
		}
		n.Input[i] = name
	}
	setType(n, t)
	h.nodes = append(h.nodes, n)
	for i, out := range n.GetOutput() {
		if out == "" || h.types[out] != onnx.Float32 {
			continue
		}
		name := out
		want, isOutput := h.io[out]
		if isOutput && want != t {
			name = h.used.Take(out + "/" + t.String())
		}
		n.Output[i] = name
		h.made(out, name, t)
		if isOutput && want != t {
			h.cast(out, want, out)
		}
	}
	return nil
}

// made notes that value exists as name, of type t.
func (h *converter) made(value, name string, t onnx.DType) {
	h.native[value] = t
	h.as[value] = map[onnx.DType]string{t: name}
}

// need is the name under which value exists in type t; it is made where it does
// not exist yet.
func (h *converter) need(value string, t onnx.DType, scale bool) (string, error) {
	if name, ok := h.as[value][t]; ok {
		return name, nil
	}
	if w := h.weights[value]; w != nil {
		return h.weight(w, t, scale)
	}
	name := h.used.Take(value + "/" + t.String())
	if n := h.levels[value]; n != nil {
		return name, h.dequantize(n, value, t, name)
	}
	h.cast(value, t, name)
	return name, nil
}

// dequantize adds n once more, with scales of type t. A Cast of what the other
// one makes would not do: NVIDIA's builder refuses products whose operands have
// scales of two types ("type mismatch between matmul operand scales").
func (h *converter) dequantize(n *onnxpb.NodeProto, value string, t onnx.DType, name string) error {
	scale, err := h.need(n.GetInput()[1], t, true)
	if err != nil {
		return err
	}
	again := proto.Clone(n).(*onnxpb.NodeProto)
	again.Name, again.Input[1], again.Output[0] = h.used.Take(graph.NodeName(n)+"/"+t.String()), scale, name
	setType(again, t)
	h.nodes = append(h.nodes, again)
	h.as[value][t], h.stands[name] = name, value
	return nil
}

// cast adds a Cast of value to type t that makes name.
func (h *converter) cast(value string, t onnx.DType, name string) {
	from := h.as[value][h.native[value]]
	node := onnx.Node("Cast", h.used.Take(value+"/to_"+t.String()), []string{from}, []string{name}, "to", t)
	h.nodes = append(h.nodes, node)
	h.as[value][t] = name
	h.stands[name] = value
}

// weight adds w in type t: under its own name the first time, under another
// where both types are needed.
func (h *converter) weight(w *onnx.Weight, t onnx.DType, scale bool) (string, error) {
	converted, err := w, error(nil)
	switch {
	case t != onnx.Float32:
		converted, err = narrow(w, t, scale)
	case scale && h.as[w.Name][h.half] != "": // what was quantized with the rounded scale
		if converted, err = narrow(w, h.half, true); err == nil {
			converted, err = converted.Convert(t)
		}
	}
	if err != nil {
		return "", err
	}
	name := w.Name
	if h.as[w.Name] == nil {
		h.as[w.Name] = map[onnx.DType]string{}
	} else {
		name = h.used.Take(w.Name + "/" + t.String())
	}
	h.m.SetWeight(&onnx.Weight{Name: name, Type: t, Dims: converted.Dims, Data: converted.Data})
	h.as[w.Name][t] = name
	return name, nil
}

// valueInfo states the new types, and the shapes that were known.
func (h *converter) valueInfo() {
	g := h.m.Graph()
	var infos []*onnxpb.ValueInfoProto
	shapes := map[string]*onnxpb.ValueInfoProto{}
	for _, v := range g.GetValueInfo() {
		shapes[v.GetName()] = v
		if h.types[v.GetName()] != onnx.Float32 {
			infos = append(infos, v)
		}
	}
	for _, v := range append(g.GetInput(), g.GetOutput()...) {
		shapes[v.GetName()] = v
	}
	for _, n := range h.nodes {
		for _, out := range n.GetOutput() {
			h.describe(out, shapes, &infos)
		}
	}
	g.ValueInfo = infos
}

// describe adds the value info of a float value that is not a graph output.
func (h *converter) describe(name string, shapes map[string]*onnxpb.ValueInfoProto, infos *[]*onnxpb.ValueInfoProto) {
	value := name
	if v, ok := h.stands[name]; ok {
		value = v
	}
	known := shapes[value]
	if _, isOutput := h.io[name]; isOutput || known == nil {
		return
	}
	for t, n := range h.as[value] {
		if n == name {
			v := proto.Clone(known).(*onnxpb.ValueInfoProto)
			v.Name = name
			retype(v, t)
			*infos = append(*infos, v)
		}
	}
}

func retype(v *onnxpb.ValueInfoProto, t onnx.DType) {
	v.GetType().GetTensorType().ElemType = int32(t)
}

// setType changes the attributes by which a node states a float32 output, and
// states float32 for the Softmax inside of a fused attention.
func setType(n *onnxpb.NodeProto, t onnx.DType) {
	if t == onnx.Float32 || !onnx.Builtin(n) {
		return
	}
	switch n.GetOpType() {
	case "Cast":
		if a := onnx.Attr(n, "to"); onnx.DType(a.GetI()) == onnx.Float32 {
			a.I = int64(t)
		}
	case "DequantizeLinear", "QuantizeLinear":
		for _, name := range []string{"output_dtype", "precision"} {
			if a := onnx.Attr(n, name); a != nil && onnx.DType(a.GetI()) == onnx.Float32 {
				a.I = int64(t)
			}
		}
	case "ConstantOfShape":
		fill(n, t)
	case "Attention":
		if onnx.Attr(n, "softmax_precision") == nil {
			n.Attribute = append(n.Attribute, &onnxpb.AttributeProto{
				Name: "softmax_precision", Type: onnxpb.AttributeProto_INT, I: int64(onnx.Float32)})
		}
	}
}

// fill makes a ConstantOfShape of float32 one of the narrow type.
func fill(n *onnxpb.NodeProto, t onnx.DType) {
	a := onnx.Attr(n, "value")
	if a == nil {
		a = &onnxpb.AttributeProto{Name: "value", Type: onnxpb.AttributeProto_TENSOR}
		n.Attribute = append(n.Attribute, a)
		a.T = &onnxpb.TensorProto{DataType: int32(onnx.Float32), Dims: []int64{1}, FloatData: []float32{0}}
	}
	if onnx.DType(a.GetT().GetDataType()) != onnx.Float32 {
		return
	}
	var v float32
	w := &onnx.Weight{Type: onnx.Float32, Dims: []int64{1}, Data: onnx.Memory(a.GetT().GetRawData())}
	if f := a.GetT().GetFloatData(); len(f) == 1 {
		v = f[0]
	} else if all, err := w.Float32s(); err == nil && len(all) == 1 {
		v = all[0]
	}
	a.T = &onnxpb.TensorProto{DataType: int32(t), Dims: []int64{1},
		RawData: binary.LittleEndian.AppendUint16(nil, narrowBits(v, t, false))}
}
