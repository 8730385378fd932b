package export

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/shape"
)

// Logits says for which positions a graph computes logits.
type Logits string

// The two variants. Last is for serving and for a fair time to first token,
// All for scoring a text.
const (
	All  Logits = "all"
	Last Logits = "last"
)

// Options of [GPT2]. The zero value computes all logits and concatenates the
// cache.
type Options struct {
	Logits   Logits // "" is All
	Cache    Cache  // "" is Concat
	Capacity int64  // columns of a static cache; 0 is n_positions, above which none can be used
}

// The keys of metadata_props that say what a graph's shapes do not.
const (
	MetaPositions = "trtforge.n_positions" // longest past + sequence
	MetaLogits    = "trtforge.logits"      // all, last
	MetaCache     = "trtforge.cache"       // static; a graph that concatenates does not say so
	MetaCapacity  = "trtforge.capacity"    // columns of a static cache
)

// masked is added to the score of a masked position. Its exponential is zero
// beside any score within 29,000 of it, it stays finite so that a row without
// a single valid position (left padding) does too, and it fits half precision.
const masked = -30000

// GPT2 builds the graph of the checkpoint in dir; its weights stay there and
// are read when the model is saved, so the caller closes it after that. A
// checkpoint that is incomplete, contradicts its config or needs what is not
// supported is a fault.Input that lists everything.
func GPT2(dir string, o Options) (*onnx.Model, error) {
	o, err := o.known(dir)
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if o, err = o.sized(dir, cfg.Positions); err != nil {
		return nil, err
	}
	c, err := openCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	m := onnx.New("gpt2")
	m.Own(c)
	if err := errors.Join(c.check(cfg), checkVocabulary(dir, cfg)); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := addWeights(m, c, cfg); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	g := &gpt2{config: cfg, builder: builder{m}, logits: o.Logits, capacity: o.Capacity}
	g.build()
	m.Proto.MetadataProps = o.metadata(cfg.Positions)
	if err := errors.Join(onnx.Check(m), shape.Infer(m)); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func addWeights(m *onnx.Model, c *checkpoint, cfg *config) error {
	for _, p := range cfg.parameters() {
		w, err := c.weight(p)
		if err != nil {
			return err
		}
		m.SetWeight(w)
	}
	return nil
}

// activations are the operators that compute the activation functions. HF's
// gelu_new spells out the formula that Gelu's approximation is.
var activations = map[string]string{
	"gelu_new": "Gelu", "gelu_pytorch_tanh": "Gelu", "gelu": "Gelu", "relu": "Relu",
}

// gpt2 builds one graph. Names follow the checkpoint: node /h.0/attn/c_attn/MatMul
// multiplies with weight transformer.h.0.attn.c_attn.weight.
type gpt2 struct {
	*config
	builder
	logits   Logits
	capacity int64 // of a static cache; 0 concatenates

	bias  string // float [B, 1, S, columns]: 0 where a position may look, else masked
	heads string // shape [B, S, 3H, D] of a joint projection
	merge string // shape [B, S, width]
	write string // int64 [B, H, S, D]: the column of each new key's numbers, of a static cache
}

// The symbols of the graph's dimensions.
func batch() onnx.Dim { return onnx.Sym("batch_size") }
func seq() onnx.Dim   { return onnx.Sym("sequence_length") }
func past() onnx.Dim  { return onnx.Sym("past_sequence_length") }
func total() onnx.Dim { return onnx.Sym("past_sequence_length + sequence_length") }

// columns are what attention looks at: past and sequence, or the whole buffer.
func (g *gpt2) columns() onnx.Dim {
	if g.capacity > 0 {
		return onnx.Fixed(g.capacity)
	}
	return total()
}

// build is GPT2LMHeadModel.forward.
func (g *gpt2) build() {
	ids := g.input("input_ids", onnx.Int64, batch(), seq())
	mask := g.input("attention_mask", onnx.Int64, batch(), g.columns())
	positions := g.input("position_ids", onnx.Int64, batch(), seq())

	if g.capacity > 0 {
		g.bias = g.staticBias(mask)
	} else {
		g.bias = g.attentionBias(ids, mask)
	}
	g.heads = g.ints("heads_shape", 0, 0, 3*g.Heads, g.headDim())
	g.merge = g.ints("merged_shape", 0, 0, g.Width)

	x := g.op("Add", "/Add", []string{
		g.op("Gather", "/wte/Gather", []string{embedName, ids}),
		g.op("Gather", "/wpe/Gather", []string{prefix + "wpe.weight", positions}),
	})
	for i := range int(g.Layers) {
		x = g.block(i, x)
	}
	if g.logits == Last {
		x = g.lastPosition(x)
	}
	g.head(g.layerNorm("ln_f", x))
}

// block is GPT2Block.forward.
func (g *gpt2) block(i int, x string) string {
	h := fmt.Sprintf("h.%d", i)
	attention := g.attention(i, h+"/attn", g.layerNorm(h+"/ln_1", x))
	x = g.op("Add", "/"+h+"/Add", []string{attention, x})
	mlp := g.mlp(h+"/mlp", g.layerNorm(h+"/ln_2", x))
	return g.op("Add", "/"+h+"/Add_1", []string{mlp, x})
}

// attention is GPT2Attention.forward on all keys and values, past and new.
// Queries, keys and values are laid out by heads together: one
// Transpose of [B, S, 3H, D] instead of three.
func (g *gpt2) attention(i int, name, x string) string {
	joint := g.op("Reshape", "/"+name+"/Reshape", []string{g.project(name+"/c_attn", x), g.heads})
	joint = g.op("Transpose", "/"+name+"/Transpose", []string{joint}, "perm", []int64{0, 2, 1, 3})
	qkv := g.ops("Split", "/"+name+"/Split", []string{joint}, 3, "axis", 1, "num_outputs", 3)
	key := g.remember(i, name, "key", qkv[1])
	value := g.remember(i, name, "value", qkv[2])

	query := qkv[0]
	if s := g.scale(i); s != 1 {
		query = g.op("Mul", "/"+name+"/Mul", []string{query, g.scalar(name+"/scale", s)})
	}
	key = g.op("Transpose", "/"+name+"/Transpose_1", []string{key}, "perm", []int64{0, 1, 3, 2})
	scores := g.op("MatMul", "/"+name+"/MatMul", []string{query, key})
	scores = g.op("Add", "/"+name+"/Add", []string{scores, g.bias})
	weights := g.op("Softmax", "/"+name+"/Softmax", []string{scores}, "axis", -1)

	context := g.op("MatMul", "/"+name+"/MatMul_1", []string{weights, value})
	context = g.op("Transpose", "/"+name+"/Transpose_2", []string{context}, "perm", []int64{0, 2, 1, 3})
	context = g.op("Reshape", "/"+name+"/Reshape_1", []string{context, g.merge})
	return g.project(name+"/c_proj", context)
}

// remember declares the past of layer i and puts the new part behind it, or
// into it where the cache is static.
func (g *gpt2) remember(i int, name, part, value string) string {
	heads, width := onnx.Fixed(g.Heads), onnx.Fixed(g.headDim())
	old, present := fmt.Sprintf("past_key_values.%d.%s", i, part), fmt.Sprintf("present.%d.%s", i, part)
	if g.capacity > 0 {
		g.input(old, onnx.Float32, batch(), heads, g.columns(), width)
		g.store(name+"/"+part, old, value)
	} else {
		g.input(old, onnx.Float32, batch(), heads, past(), width)
		g.op("Concat", "/"+name+"/"+part+"/Concat", []string{old, value}, "axis", 2)
	}
	return g.output(present, onnx.Float32, batch(), heads, g.columns(), width)
}

// mlp is GPT2MLP.forward.
func (g *gpt2) mlp(name, x string) string {
	x = g.project(name+"/c_fc", x)
	var attrs []any
	if g.Activation == "gelu_new" || g.Activation == "gelu_pytorch_tanh" {
		attrs = []any{"approximate", "tanh"}
	}
	op := activations[g.Activation]
	x = g.op(op, "/"+name+"/"+op, []string{x}, attrs...)
	return g.project(name+"/c_proj", x)
}

// project is Conv1D.forward: x times a weight of [in, out], plus a bias.
func (g *gpt2) project(name, x string) string {
	x = g.op("MatMul", "/"+name+"/MatMul", []string{x, weightName(name, "weight")})
	return g.op("Add", "/"+name+"/Add", []string{x, weightName(name, "bias")})
}

func (g *gpt2) layerNorm(name, x string) string {
	return g.op("LayerNormalization", "/"+name+"/LayerNormalization",
		[]string{x, weightName(name, "weight"), weightName(name, "bias")}, "axis", -1, "epsilon", float32(g.Epsilon))
}

// head is lm_head. A tied one is the transposed embedding table: the file holds
// it once.
func (g *gpt2) head(x string) {
	table := headName
	if g.Tied {
		table = embedName
	}
	table = g.op("Transpose", "/lm_head/Transpose", []string{table}, "perm", []int64{1, 0})
	g.op("MatMul", "/lm_head/MatMul", []string{x, table})
	positions := seq()
	if g.logits == Last {
		positions = onnx.Fixed(1)
	}
	g.output("logits", onnx.Float32, batch(), positions, onnx.Fixed(g.Vocab))
	all := g.m.Graph().Output // logits first, as users of other exporters know them
	g.m.Graph().Output = slices.Insert(all[:len(all)-1:len(all)-1], 0, all[len(all)-1])
}

// lastPosition cuts [B, S, width] to [B, 1, width].
func (g *gpt2) lastPosition(x string) string {
	return g.op("Slice", "/last/Slice", []string{
		x, g.ints("last_start", -1), g.ints("last_end", math.MaxInt64), g.ints("last_axis", 1),
	})
}

// attentionBias is computed once: position j is open to the new position i if
// it is no padding and j <= past + i.
func (g *gpt2) attentionBias(ids, mask string) string {
	one := g.scalarInt("one", 1)
	length := func(name, of string) string {
		return g.op("Gather", "/mask/"+name, []string{g.op("Shape", "/mask/"+name+"/Shape", []string{of}), one})
	}
	all := length("total", mask)
	old := g.op("Sub", "/mask/past", []string{all, length("seq", ids)})
	columns := g.op("Range", "/mask/columns", []string{g.scalarInt("zero", 0), all, one})
	rows := g.op("Range", "/mask/rows", []string{old, all, one})
	rows = g.op("Unsqueeze", "/mask/rows/Unsqueeze", []string{rows, g.ints("row_axis", 1)})
	return g.maskedWhere(g.op("LessOrEqual", "/mask/causal", []string{columns, rows}), mask)
}

// maskedWhere is the bias of scores: 0 where causal [S, columns] and mask
// [B, columns] both say so, else masked.
func (g *gpt2) maskedWhere(causal, mask string) string {
	valid := g.op("Cast", "/mask/valid", []string{mask}, "to", onnx.Bool)
	valid = g.op("Unsqueeze", "/mask/valid/Unsqueeze", []string{valid, g.ints("valid_axes", 1, 2)})
	open := g.op("And", "/mask/open", []string{causal, valid})
	return g.op("Where", "/mask/bias", []string{open, g.scalar("open", 0), g.scalar("masked", masked)})
}

// weightName is the checkpoint's name of a module's tensor: h.0/attn/c_attn
// has transformer.h.0.attn.c_attn.weight.
func weightName(module, tensor string) string {
	b := []byte(prefix + module + "." + tensor)
	for i := range b {
		if b[i] == '/' {
			b[i] = '.'
		}
	}
	return string(b)
}
