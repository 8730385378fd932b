//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Run feeds tensors and returns those named by fetch (all where it is empty),
// newly allocated, in fetch's order. All outputs are computed and copied even
// if few are fetched: ONNX Runtime prunes nothing. A 16-bit float output needs
// a shape that the model's symbols tell from the inputs; others do not.
func (s *Session) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	byName, err := s.feeds(feeds)
	if err != nil {
		return nil, err
	}
	if len(fetch) == 0 {
		fetch = names(s.out)
	}
	for _, name := range fetch {
		if !slices.Contains(names(s.out), name) {
			return nil, unfit(s.path, fmt.Errorf("output %q does not exist; there are %v", name, names(s.out)))
		}
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	r := &run{pins: &pins}
	defer r.free()
	for _, i := range s.in {
		r.in = append(r.in, byName[i.Name])
	}
	for _, o := range s.out {
		t, err := prepare(o, s.in, byName)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, "running", s.path, err, "")
		}
		r.out = append(r.out, t)
	}
	if err := r.do(s.s); err != nil {
		return nil, fault.Wrap(fault.Runtime, "running", s.path, clean(err), "")
	}
	return r.fetch(fetch)
}

// prepare is an output with room for its bytes where onnxruntime_go cannot
// allocate it itself (it counts an element of 16 bits as one byte), and
// without where it can.
func prepare(o Info, in []Info, feeds map[string]onnx.Tensor) (onnx.Tensor, error) {
	t := onnx.Tensor{Name: o.Name, Type: o.Type}
	if o.Type != onnx.Float16 && o.Type != onnx.BFloat16 {
		return t, nil
	}
	dims, err := solve(o, in, feeds)
	if err != nil {
		return t, err
	}
	size, err := o.Type.Bytes(dims)
	if err != nil {
		return t, fmt.Errorf("output %q: %w", o.Name, err)
	}
	t.Dims, t.Bytes = dims, aligned(size)
	return t, nil
}

// aligned is n bytes that begin where an int64 may.
func aligned(n int64) []byte {
	words := make([]int64, n/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:n]
}

// run is the tensors of one Run and ONNX Runtime's values over them.
type run struct {
	pins    *runtime.Pinner
	in, out []onnx.Tensor
	feeds   []ortgo.Value
	answers []ortgo.Value // nil where ONNX Runtime allocates
}

func (r *run) do(s *ortgo.DynamicAdvancedSession) error {
	for _, t := range r.in {
		v, err := wrap(t, r.pins)
		if err != nil {
			return err
		}
		r.feeds = append(r.feeds, v)
	}
	for _, t := range r.out {
		if t.Bytes == nil {
			r.answers = append(r.answers, nil)
			continue
		}
		v, err := wrap(t, r.pins)
		if err != nil {
			return err
		}
		r.answers = append(r.answers, v)
	}
	return s.Run(r.feeds, r.answers)
}

func (r *run) fetch(names []string) ([]onnx.Tensor, error) {
	var fetched []onnx.Tensor
	for _, name := range names {
		i := slices.IndexFunc(r.out, func(t onnx.Tensor) bool { return t.Name == name })
		t := r.out[i]
		if t.Bytes == nil {
			data, ok := contents(r.answers[i])
			if !ok {
				return nil, fmt.Errorf("output %q: a %T cannot be read", name, r.answers[i])
			}
			t.Dims, t.Bytes = []int64(r.answers[i].GetShape()), data
		}
		fetched = append(fetched, t)
	}
	return fetched, nil
}

func (r *run) free() {
	var errs []error
	for _, v := range append(r.feeds, r.answers...) {
		if v != nil {
			errs = append(errs, v.Destroy())
		}
	}
	_ = errors.Join(errs...) // freeing cannot fail
}

// contents are the bytes of a value that onnxruntime_go allocated: Go memory,
// which stays after the value is freed.
func contents(v ortgo.Value) ([]byte, bool) {
	switch t := v.(type) {
	case *ortgo.Tensor[float32]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[float64]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[int64]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[int32]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[int8]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[uint8]:
		return bytes(t.GetData()), true
	case *ortgo.Tensor[bool]:
		return bytes(t.GetData()), true
	case *ortgo.CustomDataTensor: // one byte an element
		return t.GetData(), true
	}
	return nil, false
}

func bytes[T any](values []T) []byte {
	if len(values) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}
