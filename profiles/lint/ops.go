package lint

import "strings"

// lacks are the operators of ONNX that TensorRT's parser does not have: what
// the parser of TensorRT-RTX 1.7 answers to supports_operator for every operator
// of ONNX 1.23. Older parsers lack more.
var lacks = words(`AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
	CenterCropPad Col2Im Compress ConcatFromSequence ConvInteger CumProd DFT DeformConv Det
	DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool MaxUnpool MelWeightMatrix Multinomial
	NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement QLinearConv QLinearMatMul
	RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
	SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat StringNormalizer StringSplit SwiGLU
	TfIdfVectorizer Unique`)

// adopted are operators of com.microsoft that the parser of TensorRT-RTX has.
var adopted = words(`MultiHeadAttention GroupQueryAttention SimplifiedLayerNormalization
	SkipSimplifiedLayerNormalization RotaryEmbedding MatMulNBits`)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// takes tells whether the backend's parser has an operator, written "Add" or
// "domain.Op". Plugins are taken on trust.
func takes(b Backend, op string) bool {
	i := strings.LastIndexByte(op, '.')
	if i < 0 {
		return !lacks[op]
	}
	switch domain, name := op[:i], op[i+1:]; domain {
	case "trt.plugins", "trt":
		return true
	case "com.microsoft":
		return (b == RTX || b == RTXEP) && adopted[name]
	}
	return false
}
