//go:build !cgo || !linux

package doctor

import "errors"

const builtWithCgo = false

// gpus cannot ask: the driver's management library needs cgo.
func gpus() (string, []GPU, error) {
	return "", nil, errors.New("this trtforge was built without cgo and cannot ask the driver")
}

// WatchGPU cannot ask either.
func WatchGPU(func(pid int) bool) (stop func() GPUUse, err error) {
	_, _, err = gpus()
	return nil, err
}
