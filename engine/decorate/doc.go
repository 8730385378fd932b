// Package decorate puts one concern each around a builder of engines. Every
// function takes an [engine.Builder] and gives one that keeps the same revision, so
// that the engines have the same keys:
//
//	b = decorate.Log(decorate.Timeout(decorate.Limit(b, decorate.GPU(lock)), 30*time.Minute), log)
//
// The cache is the store's own ([store.Store.Builder]). They nest in any order; the
// one given makes the time limit count from when the GPU is free.
package decorate
