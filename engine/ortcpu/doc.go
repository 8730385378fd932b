// Package ortcpu builds engines for ONNX Runtime's CPU execution provider: the
// graph as ONNX Runtime rewrites it (fused, constants folded), saved so that
// opening it is quick and what runs can be looked at.
//
//	b := &ortcpu.Builder{Start: start, Version: "1.32.0"}
//	manifest, err := b.Build(ctx, request, dir, counter)
//
// The rewriting runs in the ONNX Runtime child, as job [JobOptimise], which
// [OptimiseJob] does there. The graph is saved at level "extended" and meant to
// be opened at level "all" ([Open]): the last level folds the casts of float16
// weights, without which FP16 decodes several times slower, and after which
// the file of an FP16 engine would be as large as that of FP32.
//
// # Precision
//
// The precision asked for must be the graph's (quant makes it), and is compared
// with what ONNX Runtime made of it: an INT8 engine in which one of the
// matrix products that the graph quantizes is not computed in 8-bit integers is
// refused, with the layer's name. FP16 is different: the CPU's kernels compute
// in FP32 between casts, so "fp16" says that weights and the tensors between
// operators are rounded, and the manifest's layers show what computes in FP32.
//
// # Speed
//
// Two rewritings that others recommend are left out, because what they gave here (two
// cores with AVX-512, GPT-2 124M, processor time of runs in turn) was not worth them.
// com.microsoft's MultiHeadAttention with the causal mask as its bias gives the same
// bits as the operators that it replaces in 2 % of a prefill's time less at 1,024
// tokens, 1 % at 512 and none at 128: its flash kernel takes no mask. Its
// GroupQueryAttention is faster by 5 % at 1,024 tokens and slower below 512, and does
// not know padding on the left. session.set_denormal_as_zero gave nothing and leaves
// the calling thread changed.
//
// Profiles do not bind this backend: it runs any shape.
package ortcpu
