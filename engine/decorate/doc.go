// Package decorate puts one concern each around a builder of engines. Every
// function takes an [engine.Builder] and gives one that keeps the same revision, so
// that the engines have the same keys. [Care] is the one order in which commands put
// them round each other; the cache around all of it is the store's ([store.Store.Build]).
//
//	b = decorate.Care{Log: log, Need: s.Peak}.Around(b)
package decorate
