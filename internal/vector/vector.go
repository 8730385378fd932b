// Package vector has the loops over whole vocabularies that Go compiles for one
// number at a time and a C compiler for eight: a row of logits is 50,000 numbers, and
// there is one for each token of a text.
//
// What it has is nil in a build without cgo. Rooms that hold knowledge have the same
// loop in Go and take this one where they are given it; a test holds the two together.
package vector

// LogSumExp is log(sum(exp(logits))) in float64, to 1e-12 of itself, and the index of
// the largest logit, the first of equals, as validate.LogSumExp defines them.
var LogSumExp func(logits []float32) (lse float64, top int)
