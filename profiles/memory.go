package profiles

import (
	"math"

	"github.com/trtforge/trtforge/contract"
)

// Bytes is the memory of one pass at a profile's maximum, by part.
type Bytes struct {
	Inputs      int64 `json:"inputs_bytes"` // ids, mask, positions and others
	KVIn        int64 `json:"kv_in_bytes"`
	KVOut       int64 `json:"kv_out_bytes"` // where present is bound to the buffer of past, it is not taken twice
	Logits      int64 `json:"logits_bytes"`
	Activations int64 `json:"activations_bytes"` // an estimate
}

// Total is all parts together.
func (b Bytes) Total() int64 {
	total := 0.0
	for _, n := range []int64{b.Inputs, b.KVIn, b.KVOut, b.Logits, b.Activations} {
		total += float64(n)
	}
	return whole64(total)
}

// Memory is what a pass at the profile's maximum holds, without the weights.
// Inputs, cache and logits follow from their shapes. Activations are an estimate,
// those of the one layer that is at work:
//
//	batch x seq x width x 8 + batch x heads x seq x total x 2   elements
//
// for the hidden state, the projections and the four times wider half of the MLP,
// and for scores and their softmax, which a fused attention does without. Width
// is heads x head size of the cache: of a grouped-query model this is the
// keys' and values', and the estimate is low. A contract without a cache states
// neither, and the estimate leaves the layers out.
func Memory(c *contract.Contract, p Profile) Bytes {
	var b Bytes
	batch, seq, past := float64(p.Batch.Max), float64(p.Seq.Max), float64(p.Past.Max)
	ranges := make(map[string]Range, len(p.Inputs))
	for _, r := range p.Inputs {
		ranges[r.Input] = r
	}
	element := 4.0
	buffered := 0.0 // length of a cache that past and present share
	for _, t := range c.Inputs {
		n := width(t.Type)
		r, ok := ranges[t.Name]
		for i, d := range t.Dims {
			switch {
			case ok && !r.Values && i < len(r.Max):
				n *= float64(r.Max[i])
				if d.Role == contract.Buffer {
					buffered = float64(r.Max[i])
				}
			default:
				n *= float64(d.Size)
			}
		}
		if t.Kind == contract.KindPastKey || t.Kind == contract.KindPastValue {
			element = width(t.Type)
			b.KVIn = whole64(float64(b.KVIn) + n)
			continue
		}
		b.Inputs = whole64(float64(b.Inputs) + n)
	}
	total := past + seq
	if buffered > 0 {
		total = buffered
	}
	if c.Cached() {
		b.KVOut = whole64(2 * float64(c.Layers) * batch * float64(c.Heads) * total * float64(c.HeadDim) * element)
	}
	positions := seq
	if c.Logits == "last" {
		positions = 1
	}
	logits := 4.0
	for _, t := range c.Outputs {
		if t.Kind == contract.KindLogits {
			logits = width(t.Type)
		}
	}
	b.Logits = whole64(batch * positions * float64(c.Vocab) * logits)
	heads, size := float64(c.Heads), float64(c.HeadDim)
	b.Activations = whole64((batch*seq*heads*size*8 + batch*heads*seq*total*2) * element)
	return b
}

// width is the bytes of an element; 4 for a type that is not known.
func width(typ string) float64 {
	switch typ {
	case "bool", "int8", "uint8", "float8e4m3fn", "float8e5m2":
		return 1
	case "float16", "bfloat16", "int16", "uint16":
		return 2
	case "int64", "uint64", "double":
		return 8
	}
	return 4
}

// whole64 is a number of bytes; what no machine has is the largest number.
func whole64(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}
