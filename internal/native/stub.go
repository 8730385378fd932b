//go:build !cgo

package native

// Use does nothing: this binary has no C.
func Use() {}
