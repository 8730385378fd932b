// Package store keeps engines by what they are.
//
// An engine stands under its key, the sha256 over everything that changes it
// ([engine.Inputs]), with a manifest that says what was asked for and what was
// built, and a seal over both. It is given out only after its files, its manifest
// and its key have been proved against each other, so an engine that is stale,
// cut short or edited by hand is built again instead of being used.
//
//	s, err := store.Open(dir)
//	e, err := s.Build(ctx, builder, request, counter) // from the store, or built now
//	near, diff, err := s.Why(engine.Inputs(request, builder.Revision()))
//
// Many processes may share a store: each key has a lock, and who comes second
// waits and takes the result. An engine appears under its key by one rename,
// after it was flushed, so a kill leaves a directory that is never listed and
// that the next build of that key sweeps.
//
//	engines/KEY/manifest.json, seal, the engine's files
//	engines/.tmp-KEY-*           a build under way, or what a kill left of one
//	locks/KEY                    held during a build and a removal
//
// The locks are flock, which network file systems do not always honour: a store
// belongs on a local disk. It does not decide what is built, and does not run
// engines.
package store
