//go:build !cgo || !linux

package doctor

import "errors"

const builtWithCgo = false

// gpus cannot ask: the driver's management library needs cgo.
func gpus() (string, []GPU, error) {
	return "", nil, errors.New("this trtforge was built without cgo and cannot ask the driver")
}
