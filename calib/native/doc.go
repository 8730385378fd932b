// Package native has the loops of counting in C, which a compiler makes nearly three times
// as fast as Go's is, for the processors at hand: every value of every observed tensor
// passes through them.
//
//	native.Use()
//
// They give the same bits as those of calib, which stays without C; a binary that is
// built without cgo counts with Go's.
package native
