package quant

import (
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Traffic estimates how many bytes of weights a decode step of batch 1 reads:
// every weight once, but of one that is only gathered from (the embeddings) a row.
// It bounds the speed of decoding from below on hardware that waits for memory.
func Traffic(m *onnx.Model) int64 {
	read := map[string]bool{} // as a whole
	gathered := map[string]bool{}
	for _, n := range m.Graph().GetNode() {
		for i, in := range n.GetInput() {
			if w := m.Weight(in); w == nil {
				continue
			}
			if i == 0 && rowwise(n) {
				gathered[in] = true
			} else {
				read[in] = true
			}
		}
	}
	var total int64
	_ = m.Weights(func(w *onnx.Weight) error { // no error comes from visiting
		switch {
		case read[w.Name]:
			total += w.Data.Size()
		case gathered[w.Name] && len(w.Dims) > 0 && w.Dims[0] > 0:
			total += w.Data.Size() / w.Dims[0]
		}
		return nil
	})
	return total
}

// rowwise tells whether a node takes rows of its first input.
func rowwise(n *onnxpb.NodeProto) bool {
	return n.GetOpType() == "Gather" && onnx.AttrInt(n, "axis", 0) == 0
}
