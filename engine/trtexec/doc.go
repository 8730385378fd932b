// Package trtexec builds classic TensorRT plans with an installed trtexec.
//
// trtexec comes with TensorRT, needs a GPU and speaks two dialects: version 10
// wants to be told that a graph's types are to be kept, version 11 always keeps
// them and has no precision flags at all. This package finds its version, hands it
// the graph and every profile of the plan, keeps its log, and reads from what it
// exports whether the engine is the one that was asked for.
//
//	tool, err := trtexec.Find(ctx)
//	manifest, err := (&trtexec.Builder{Tool: tool}).Build(ctx, request, dir, counter)
//
// A failure is told by its cause (profiles/explain), with the log beside it. The
// package does not run plans.
package trtexec
