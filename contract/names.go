package contract

import (
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/onnx"
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

// allowed are the element types of a kind.
func allowed(k Kind, t string) bool {
	switch k {
	case KindOther:
		return true
	case KindIDs, KindMask, KindPositions, KindCachePosition:
		return integer(t)
	}
	return t == onnx.Float32.String() || t == onnx.Float16.String() || t == onnx.BFloat16.String()
}

// layout is the roles of a kind's dimensions; nil where it has no usual ones. In
// a graph without past, what is as long as past and sequence together is as long
// as the sequence; where past and present share a buffer, the cache is as long as
// that, and so is the mask unless something else says otherwise.
func (r *reader) layout(t *Tensor) []Role {
	past, total := Past, Total
	switch {
	case !r.cached:
		total = Seq
	case r.shared || r.static:
		past, total = Buffer, Buffer
	}
	switch t.Kind {
	case KindIDs, KindPositions:
		return []Role{Batch, Seq}
	case KindCachePosition:
		return []Role{Seq}
	case KindMask:
		return []Role{Batch, total}
	case KindPastKey, KindPastValue:
		return []Role{Batch, Static, past, Static}
	case KindPresentKey, KindPresentValue:
		return []Role{Batch, Static, total, Static}
	case KindLogits:
		if len(t.Dims) == 3 && t.Dims[1].Symbol == "" && t.Dims[1].Size == 1 {
			return []Role{Batch, Static, Static} // of the last position
		}
		return []Role{Batch, Seq, Static}
	}
	return nil
}
