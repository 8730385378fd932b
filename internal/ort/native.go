//go:build cgo

package ort

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "native.h"
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	ortgo "github.com/yalue/onnxruntime_go"
)

// nativeLoad finds the C API in the library that onnxruntime_go has loaded.
func nativeLoad(library string) error {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	return say(C.native_load(path))
}

// say is the error of a C function, whose text it frees.
func say(text *C.char) error {
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return errors.New(C.GoString(text))
}

// handle is the C pointer in a field of one of onnxruntime_go's types, which keep
// theirs to themselves. The alternative, to open sessions in C as well, would be
// all of that package once more.
func handle(of any, path ...string) (unsafe.Pointer, error) {
	v := reflect.ValueOf(of)
	for _, name := range path {
		if v = reflect.Indirect(v); v.Kind() != reflect.Struct {
			return nil, fmt.Errorf("onnxruntime_go's %T has no %v", of, path)
		}
		v = v.FieldByName(name)
	}
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("onnxruntime_go's %T has no %v", of, path)
	}
	return v.UnsafePointer(), nil
}

// pointer is the C session.
func (s *Session) pointer() (unsafe.Pointer, error) { return handle(s.s, "s", "ortSession") }

// Assigned is which provider got which nodes, of a session that was opened to
// record it: one subgraph for each that a provider compiles whole, one a node
// where a provider has kernels.
func (s *Session) Assigned() ([]Subgraph, error) {
	session, err := s.pointer()
	if err != nil {
		return nil, err
	}
	var first *unsafe.Pointer
	var n C.size_t
	if err := say(C.native_subgraphs(session, &first, &n)); err != nil {
		return nil, fmt.Errorf("asking who runs the nodes of %s: %w", s.path, err)
	}
	var all []Subgraph
	for _, p := range unsafe.Slice(first, n) {
		g, err := subgraph(p)
		if err != nil {
			return nil, fmt.Errorf("asking who runs the nodes of %s: %w", s.path, err)
		}
		all = append(all, g)
	}
	return all, nil
}

func subgraph(p unsafe.Pointer) (g Subgraph, err error) {
	var provider *C.char
	var first *unsafe.Pointer
	var n C.size_t
	if err := say(C.native_nodes(p, &provider, &first, &n)); err != nil {
		return g, err
	}
	g.Provider = C.GoString(provider)
	for _, node := range unsafe.Slice(first, n) {
		var name, domain, op *C.char
		if err := say(C.native_node(node, &name, &domain, &op)); err != nil {
			return g, err
		}
		g.Nodes = append(g.Nodes, Node{Name: C.GoString(name), Domain: C.GoString(domain), Op: C.GoString(op)})
	}
	return g, nil
}

// epOption is what a plugin says of an option of one of its devices, "" where nothing.
func epOption(d ortgo.EpDevice, name string) (string, error) {
	device, err := handle(d, "p")
	if err != nil {
		return "", err
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.GoString(C.native_option(device, text)), nil
}
