// Package shape tells what shapes the values of a graph have.
//
// [Infer] reads a graph forwards, from its inputs to its outputs, and writes types
// and shapes to value_info, for the operators that language models are made of.
// [Follow] asks the other way round: what the nodes force the inputs to be, whatever
// the file calls them; contract reads the meaning of inputs from that.
//
//	err := shape.Infer(m)
//	trace := shape.Follow(m)
//
// Both compute with expressions of the inputs' symbols ("past + seq") and follow
// small integer tensors, so that shapes which a graph computes itself are known. An
// operator is one rule (rules.go, rule*.go): a function of what comes in.
//
// It runs nothing and reads of the weights no more than such integers.
package shape
