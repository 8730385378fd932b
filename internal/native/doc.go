// Package native has the loops that see every value, in C: those of counting, through
// which every value of every observed tensor passes, and those over a row of logits, of
// which each token of a text has one of 50,000. A C compiler makes them for eight numbers
// at a time where Go's does for one, and so two to four times as fast.
//
//	native.Use()
//
// The rooms that own them, calib and validate, have the same loops in Go and stay without
// C; a binary that is built without cgo counts and scores with those. Counting gives the
// same bits either way, a row's sum differs by 1e-12 of itself.
package native
