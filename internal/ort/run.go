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
	return s.chosen(feeds).run(feeds, fetch, nil)
}

// Recycler is a session whose runs write their outputs into memory of its own:
// what a run returned is good until the next begins, and of the outputs named to
// [Session.Recycling] until the next has returned, so that they can be fed to it.
// For who only looks at large outputs this saves a copy of each and the garbage
// collector's work. Not safe for concurrent use.
type Recycler struct {
	s    *Session
	back map[string]bool      // outputs that are fed back
	sets [2]map[string][]byte // by output; the second is of those fed back only
	turn int
	not  bool // an output has not the shape that the model states
}

// Recycling is s with outputs in memory that is used again; those named are fed
// back to the next run.
func (s *Session) Recycling(back ...string) *Recycler {
	r := &Recycler{s: s, back: map[string]bool{}, sets: [2]map[string][]byte{{}, {}}}
	for _, name := range back {
		r.back[name] = true
	}
	return r
}

// Run is Session.Run. Outputs whose shape the model's symbols do not tell are
// newly allocated all the same; where they tell a wrong one, all are.
func (r *Recycler) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	if r.not {
		return r.s.Run(feeds, fetch)
	}
	r.turn = 1 - r.turn
	out, err := r.s.run(feeds, fetch, func(name string, n int64) []byte {
		set := r.sets[0]
		if r.back[name] {
			set = r.sets[r.turn]
		}
		if set[name] == nil || int64(cap(set[name])) < n {
			set[name] = aligned(n)
		}
		return set[name][:n]
	})
	if err == nil {
		return out, nil
	}
	again, plain := r.s.Run(feeds, fetch)
	if plain != nil {
		return nil, err
	}
	r.not = true
	return again, nil
}

// run is Run with the outputs in what room gives for a name and a number of
// bytes; where room is nil, in memory of their own.
func (s *Session) run(feeds []onnx.Tensor, fetch []string, room func(string, int64) []byte) ([]onnx.Tensor, error) {
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
		t, err := prepare(o, s.in, byName, room)
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

// prepare is an output with room for its bytes: in what the caller gives, and
// where onnxruntime_go cannot allocate it itself (it counts an element of 16 bits
// as one byte). Others are left to ONNX Runtime.
func prepare(o Info, in []Info, feeds map[string]onnx.Tensor, room func(string, int64) []byte) (onnx.Tensor, error) {
	t := onnx.Tensor{Name: o.Name, Type: o.Type}
	narrow := o.Type == onnx.Float16 || o.Type == onnx.BFloat16
	if !narrow && room == nil {
		return t, nil
	}
	dims, err := solve(o, in, feeds)
	if err == nil && len(dims) == 0 { // of unknown rank, or a scalar, which cannot be bound
		err = fmt.Errorf("output %q has no shape", o.Name)
	}
	if err != nil {
		if narrow {
			return t, err
		}
		return t, nil
	}
	size, err := o.Type.Bytes(dims)
	if err != nil {
		return t, fmt.Errorf("output %q: %w", o.Name, err)
	}
	if room == nil {
		room = func(_ string, n int64) []byte { return aligned(n) }
	}
	t.Dims, t.Bytes = dims, room(o.Name, size)
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
