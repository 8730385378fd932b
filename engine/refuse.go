package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// unparsed are the standard operators that NVIDIA's ONNX parser does not take, as
// that of TensorRT-RTX 1.7 answers itself (IParser::supportsOperator). Classic
// TensorRT takes DeformConv beside what it does.
var unparsed = strings.Fields(`AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im
	Compress ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool
	MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement QLinearConv
	QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap
	SoftmaxCrossEntropyLoss SplitToSequence StringConcat StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique`)

// Refused says what of a graph NVIDIA's parser will not take, a line for each
// reason: operators that it does not know, and quantization that is not symmetric
// INT8. No line promises nothing; the builder has the last word.
func Refused(m *onnx.Model) []string { return refusals(m, refused) }

// RefusedByRTX says likewise what the parser takes and the builder of TensorRT-RTX then
// has no kernel for. Classic TensorRT may well have one.
func RefusedByRTX(m *onnx.Model) []string {
	if PrecisionOf(m) != FP32 { // in half some shapes have one
		return nil
	}
	return refusals(m, func(_ *onnx.Model, n *onnxpb.NodeProto) string {
		if n.GetOpType() != "Attention" || !onnx.Builtin(n) {
			return ""
		}
		return "Attention in FP32, for which TensorRT-RTX 1.7 has no kernel (export without it: attn_implementation=\"eager\", or an opset below 23)"
	})
}

// refusals are the reasons that nodes give, each with the nodes that give it.
func refusals(m *onnx.Model, of func(*onnx.Model, *onnxpb.NodeProto) string) (reasons []string) {
	nodes := map[string][]string{}
	for _, n := range m.Graph().GetNode() {
		if why := of(m, n); why != "" {
			nodes[why] = append(nodes[why], n.GetName())
		}
	}
	for _, why := range slices.Sorted(maps.Keys(nodes)) {
		names := nodes[why]
		text := fmt.Sprintf("%s: %q", why, names[0])
		if len(names) > 1 {
			text += fmt.Sprintf(" and %d more", len(names)-1)
		}
		reasons = append(reasons, text)
	}
	return reasons
}

func refused(m *onnx.Model, n *onnxpb.NodeProto) string {
	op := n.GetOpType()
	if !onnx.Builtin(n) {
		if op == "EPContext" {
			return ""
		}
		return onnx.Operator(n) + " is no operator of TensorRT"
	}
	if slices.Contains(unparsed, op) {
		return op + " is no operator that TensorRT's parser takes"
	}
	if op == "Attention" && slices.ContainsFunc(n.GetAttribute(), func(a *onnxpb.AttributeProto) bool { return a.GetName() == "softmax_precision" }) {
		return "Attention with softmax_precision, which TensorRT's parser does not set"
	}
	if (op == "QuantizeLinear" || op == "DequantizeLinear") && len(n.Input) > 2 && n.Input[2] != "" {
		if zero := m.Weight(n.Input[2]); zero != nil && (zero.Type == onnx.Uint8 || anything(zero)) {
			return op + " with a zero point that is not INT8 and 0"
		}
	}
	return ""
}

// maxZeroPoint bounds a zero point: one a channel.
const maxZeroPoint = 1 << 20

// anything tells whether a weight has a bit that is set.
func anything(w *onnx.Weight) bool {
	if w.Data.Size() > maxZeroPoint {
		return false
	}
	b, err := w.Bytes()
	return err == nil && slices.ContainsFunc(b, func(x byte) bool { return x != 0 })
}
