// Package search finds how much of a model can be INT8 within a gate.
//
// Quantizing all matrix products costs accuracy that few of them cause. The
// package measures what each costs alone ([Sensitivities]) and then looks for the
// choice that saves the most bytes while perplexity and KL divergence against the
// float model hold a [Gate] ([Run]). It knows nothing of graphs: an [Evaluator]
// measures a choice, which in production is one ONNX Runtime session over
// quant.Probe, fed with flags.
//
//	r, err := search.Run(ctx, evaluator, candidates, search.Options{Gate: gate}, p)
//	r.Chosen // which candidates become INT8
//
// Sums of what products cost alone order the choices that are worth measuring;
// nothing is chosen by them. What is chosen was measured, and holds the gate with
// the upper end of its interval, not its mean: of many choices measured on the
// same windows the luckiest looks best. A second evaluator on windows that the
// search never sees ([Options.Confirm]) has the last word.
//
// Up to [Exhaustive] candidates the answer is exact: what brute force over all
// subsets would choose. Beyond that it is the best of what the budget of
// measurements allowed, and never less than the greedy choice by sensitivity.
package search
