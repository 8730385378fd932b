package contract

import (
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// named says what a tensor is for by how exporters call it; the number, where
// there is one, is the layer.
type named struct {
	pattern *regexp.Regexp
	kind    Kind
}

// naming is the names that transformers, optimum and onnxruntime-genai give to
// inputs (true) and outputs (false).
var naming = map[bool][]named{
	true: {
		{regexp.MustCompile(`^input_ids$`), KindIDs},
		{regexp.MustCompile(`^attention_mask$`), KindMask},
		{regexp.MustCompile(`^position_ids$`), KindPositions},
		{regexp.MustCompile(`^cache_position$`), KindCachePosition},
		{regexp.MustCompile(`^past(?:_key_values)?[._](\d{1,5})[._]key$`), KindPastKey},
		{regexp.MustCompile(`^past(?:_key_values)?[._](\d{1,5})[._]value$`), KindPastValue},
	},
	false: {
		{regexp.MustCompile(`^logits$`), KindLogits},
		{regexp.MustCompile(`^present(?:_key_values)?[._](\d{1,5})[._]key$`), KindPresentKey},
		{regexp.MustCompile(`^present(?:_key_values)?[._](\d{1,5})[._]value$`), KindPresentValue},
	},
}

func kindOf(name string, names []named) (Kind, int) {
	for _, n := range names {
		if found := n.pattern.FindStringSubmatch(name); found != nil {
			layer := 0
			if len(found) > 1 {
				layer, _ = strconv.Atoi(found[1]) // five digits at most
			}
			return n.kind, layer
		}
	}
	return KindOther, 0
}

// takesCache tells whether some input is a past key or value.
func takesCache(inputs []*onnxpb.ValueInfoProto) bool {
	for _, v := range inputs {
		if k, _ := kindOf(v.GetName(), naming[true]); k == KindPastKey || k == KindPastValue {
			return true
		}
	}
	return false
}

// allowed are the element types of a kind.
func allowed(k Kind, t onnx.DType) bool {
	switch k {
	case KindIDs, KindMask, KindPositions, KindCachePosition:
		return t == onnx.Int64 || t == onnx.Int32
	}
	return t == onnx.Float32 || t == onnx.Float16 || t == onnx.BFloat16
}

// layout is the roles of a kind's dimensions. In a graph without past, what is
// as long as past and sequence together is as long as the sequence.
func layout(k Kind, cached bool, dims []onnx.Dim) []Role {
	total := Total
	if !cached {
		total = Seq
	}
	switch k {
	case KindIDs, KindPositions:
		return []Role{Batch, Seq}
	case KindMask:
		return []Role{Batch, total}
	case KindPastKey, KindPastValue:
		return []Role{Batch, Static, Past, Static}
	case KindPresentKey, KindPresentValue:
		return []Role{Batch, Static, total, Static}
	}
	if len(dims) == 3 && dims[1].Symbol == "" && dims[1].Size == 1 {
		return []Role{Batch, Static, Static} // logits of the last position
	}
	return []Role{Batch, Seq, Static}
}
