// Package bundle hands a build to a machine that has a GPU, and takes its result
// back.
//
// A bundle holds a typed graph, its contract and profiles, a script with the exact
// commands, and what must come out. [Write] makes one here; build.sh, which needs
// trtexec and nothing of ours, builds the plan there and times each profile at its
// optimum; [Read] and [Bundle.Result] hold what it left against the request, as
// a build on this machine would be: the builder's own account of layers and
// profiles, the plan's header, the graph's digest.
//
//	err := bundle.Write(dir, bundle.Input{Request: r, Data: m.DataFiles()})
//	b, err := bundle.Read(dir)
//	e, err := b.Result(ctx, s)
//
// What a result proves is that it is of one piece; that a machine really built it
// is the word of who ran the script.
package bundle
