// Package graph answers what a walk through an ONNX graph asks at every step: who
// makes a value and who uses it ([Index]), which names are free ([Names]), what a
// constant holds ([Hoist]) and of which type a value is ([ElementTypes]).
//
// The rooms that rewrite graphs (quant and its parts) and the one that observes
// them (calib) share it. It changes no arithmetic and knows no shapes
// (onnx/shape).
package graph
