package half

import (
	"strings"

	"github.com/trtforge/trtforge/onnx"
)

// never stands for operators that no opset defines for a type.
const never = 1 << 30

// brainOpset is the first opset that knows bfloat16.
const brainOpset = 13

// Operators that take float16 or bfloat16 later than others do (from opset 1,
// from opset 13), by the first opset that defines them for it. From ONNX's
// schemas, as of opset 28.
var (
	halfFrom = from(map[int64]string{
		14: "CumSum", 19: "DequantizeLinear QuantizeLinear", 20: "IsInf", 21: "QLinearMatMul", 27: "Range", 28: "Celu",
		never: "DynamicQuantizeLinear NonMaxSuppression QLinearConv Resize TfIdfVectorizer Upsample",
	})
	brainFrom = from(map[int64]string{
		14: "BatchNormalization CumSum", 15: "Pow", 16: "GreaterOrEqual LeakyRelu LessOrEqual PRelu Where",
		19: "DequantizeLinear QuantizeLinear", 20: "ConstantOfShape IsInf", 21: "QLinearMatMul",
		22: `Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det Dropout Elu
			EyeLike GRU GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM
			LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool Mish Multinomial NegativeLogLikelihoodLoss RNN RandomNormal
			RandomNormalLike RandomUniform RandomUniformLike RoiAlign Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu`,
		24: "TopK", 27: "Range", 28: "Celu Compress Einsum ReverseSequence Unique",
		never: "DynamicQuantizeLinear NonMaxSuppression OneHot QLinearConv Resize Scatter Shrink TfIdfVectorizer Upsample",
	})
)

func from(opsets map[int64]string) map[string]int64 {
	all := map[string]int64{}
	for opset, ops := range opsets {
		for _, op := range strings.Fields(ops) {
			all[op] = opset
		}
	}
	return all
}

// definedFor tells whether ONNX's operator of that opset takes type t, float16
// or bfloat16, where it takes float32.
func definedFor(op string, t onnx.DType, opset int64) bool {
	if t == onnx.BFloat16 {
		return opset >= max(brainOpset, brainFrom[op])
	}
	return opset >= halfFrom[op]
}
