//go:build cgo

package ort

// #include <stdlib.h>
// #include "native.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	ortgo "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// device is the memory of the device that a session runs on.
type device struct {
	native C.native_device
	places []place
}

// place is a buffer there, and the addresses here that stand for it.
type place struct {
	token  []byte
	memory unsafe.Pointer
}

// openDevice is the device of that name on which s runs.
func openDevice(s *Session, name string, id int) (*device, error) {
	session, err := s.pointer()
	if err != nil {
		return nil, err
	}
	d := &device{}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	if err := say(C.native_open(session, text, C.int(id), &d.native)); err != nil {
		return nil, fault.Wrap(fault.Missing, "using the memory of", name, err, "open the session with a provider that has such memory")
	}
	return d, nil
}

// Place gives n bytes in the memory of the device that runs the graph, or nil
// where the session was not opened for that. What it returns are addresses that
// stand for those bytes in [Session.Bind], whole or sliced, until the session is
// closed or they are released; there is nothing behind them, and who reads or writes
// them crashes.
func (s *Session) Place(n int64) ([]byte, error) {
	if s.device == nil {
		return nil, nil
	}
	size := max(n, 1)
	token, err := unix.Mmap(-1, 0, int(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fault.Wrap(fault.Runtime, "reserving", fmt.Sprintf("%d addresses", n), err, "")
	}
	p := place{token: token}
	if err := say(C.native_alloc(&s.device.native, C.size_t(size), &p.memory)); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Runtime, "allocating", fmt.Sprintf("%d bytes on the device", n), err, "ask for a smaller batch or fewer tokens"), unix.Munmap(token))
	}
	s.device.places = append(s.device.places, p)
	return token[:n], nil
}

// Release frees what Place gave, which nothing may be bound to any more.
func (s *Session) Release(b []byte) error {
	if s.device == nil {
		return nil
	}
	for i, p := range s.device.places {
		if unsafe.SliceData(p.token) == unsafe.SliceData(b) {
			s.device.places = slices.Delete(s.device.places, i, i+1)
			return s.device.free(p)
		}
	}
	return fmt.Errorf("releasing %d bytes that were not placed", len(b))
}

func (d *device) free(p place) error {
	return errors.Join(say(C.native_free(&d.native, p.memory)), unix.Munmap(p.token))
}

// at is where on the device bytes lie; nil where they are ordinary ones.
func (d *device) at(bytes []byte) unsafe.Pointer {
	if d == nil || cap(bytes) == 0 {
		return nil
	}
	here := uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))
	for _, p := range d.places {
		if begin := uintptr(unsafe.Pointer(unsafe.SliceData(p.token))); here >= begin && here-begin < uintptr(cap(p.token)) {
			return unsafe.Add(p.memory, here-begin)
		}
	}
	return nil
}

// tensor is a value over the bytes of t at that place on the device.
func (d *device) tensor(t onnx.Tensor, at unsafe.Pointer) (unsafe.Pointer, error) {
	var value unsafe.Pointer
	var dims *C.int64_t
	if len(t.Dims) > 0 {
		dims = (*C.int64_t)(unsafe.Pointer(&t.Dims[0]))
	}
	err := say(C.native_tensor(&d.native, at, C.size_t(len(t.Bytes)), dims, C.size_t(len(t.Dims)), C.int(t.Type), &value))
	if err != nil {
		return nil, fmt.Errorf("tensor %q on the device: %w", t.Name, err)
	}
	return value, nil
}

// bind binds a tensor of the device. The binding shares the value, so our end of
// it is freed at once.
func (d *device) bind(to *ortgo.IoBinding, t onnx.Tensor, at unsafe.Pointer, output bool) error {
	binding, err := handle(to, "o")
	if err != nil {
		return err
	}
	value, err := d.tensor(t, at)
	if err != nil {
		return err
	}
	defer C.native_release(value)
	name := C.CString(t.Name)
	defer C.free(unsafe.Pointer(name))
	way := C.int(0)
	if output {
		way = 1
	}
	return say(C.native_bind(binding, name, value, way))
}

// close frees everything that was placed.
func (d *device) close() error {
	if d == nil {
		return nil
	}
	var errs []error
	for _, p := range d.places {
		errs = append(errs, d.free(p))
	}
	C.native_close(&d.native)
	return errors.Join(errs...)
}

// driven is a binding that runs through the C API: with tensors of a device, or
// under run options.
type driven struct{ session, options, binding unsafe.Pointer }

func (s *Session) drive(binding *ortgo.IoBinding) (d driven, err error) {
	if d.session, err = s.pointer(); err != nil {
		return d, err
	}
	if d.binding, err = handle(binding, "o"); err != nil {
		return d, err
	}
	if s.options != nil {
		d.options, err = handle(s.options, "o")
	}
	return d, err
}

func (d driven) run() error { return say(C.native_run(d.session, d.options, d.binding)) }
