package jobs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// The jobs of the worker that runs plans (worker.Plan), besides its own bench.
const (
	passJob    = "pass"
	placeJob   = "place"
	releaseJob = "release"
)

// opener opens a model for a piece of work, which is told how long that took, and
// closes it behind it.
type opener func(work func(s lm.Session, load time.Duration) error) error

// isPlan tells a plan, which the worker of plans runs, from what ONNX Runtime opens.
func isPlan(m Model) bool { return filepath.Ext(m.Path) == ".plan" }

// across opens a plan in its worker. What is done with it happens here, by the code
// that runs in the ONNX Runtime child for every other engine; a pass is one call.
func across(ctx context.Context, c Caller, m Model) opener {
	return func(work func(s lm.Session, load time.Duration) error) error {
		s := &plan{ctx: ctx, c: c, path: m.Path} // the worker opens it with the first pass
		return errors.Join(work(s, 0), s.Close())
	}
}

// plan is a plan as a session. Inputs and outputs cross the pipe with each pass, but
// for the cache, which is placed on the device.
type plan struct {
	ctx    context.Context
	c      Caller
	path   string
	places []planPlace
}

var _ lm.Placer = (*plan)(nil)

// planPlace is memory on the device, and the addresses here that stand for it.
type planPlace struct {
	token   []byte
	address uint64
}

// passRequest asks for one pass.
type passRequest struct {
	Path    string       `json:"path"`
	Feeds   []passTensor `json:"feeds"`
	Answers []passTensor `json:"answers"`
}

// passTensor is a tensor of a pass: on the device, or, where At is 0, across the pipe.
type passTensor struct {
	Name string  `json:"name"`
	Type string  `json:"type"`
	Dims []int64 `json:"dims"`
	At   uint64  `json:"at,omitempty"`
}

// Place gives n bytes on the device.
func (s *plan) Place(n int64) ([]byte, error) {
	token, err := unix.Mmap(-1, 0, int(max(n, 1)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fault.Wrap(fault.Runtime, "reserving", fmt.Sprintf("%d addresses", n), err, "")
	}
	p := planPlace{token: token}
	var got struct {
		Address uint64 `json:"address"`
	}
	request := map[string]any{"path": s.path, "bytes": n}
	if err := s.c.Call(s.ctx, placeJob, request, &got, progress.Noop); err != nil {
		return nil, errors.Join(err, unix.Munmap(token))
	}
	p.address = got.Address
	s.places = append(s.places, p)
	return token[:n], nil
}

// Release frees what Place gave.
func (s *plan) Release(b []byte) error {
	for i, p := range s.places {
		if unsafe.SliceData(p.token) == unsafe.SliceData(b) {
			s.places = append(s.places[:i], s.places[i+1:]...)
			err := s.c.Call(s.ctx, releaseJob, map[string]any{"path": s.path, "address": p.address}, nil, progress.Noop)
			return errors.Join(err, unix.Munmap(p.token))
		}
	}
	return fmt.Errorf("releasing %d bytes that were not placed", len(b))
}

// at is where on the device bytes lie; 0 where they are ordinary ones.
func (s *plan) at(b []byte) uint64 {
	here := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, p := range s.places {
		if begin := uintptr(unsafe.Pointer(unsafe.SliceData(p.token))); here >= begin && here-begin < uintptr(len(p.token)) {
			return p.address + uint64(here-begin)
		}
	}
	return 0
}

// Bind prepares a pass.
func (s *plan) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	b := &planPass{s: s, request: passRequest{Path: s.path}}
	for _, t := range in {
		at := s.at(t.Bytes)
		if b.request.Feeds = append(b.request.Feeds, passTensor{t.Name, t.Type.String(), t.Dims, at}); at == 0 {
			b.in = append(b.in, t)
		}
	}
	for _, t := range out {
		at := s.at(t.Bytes)
		if b.request.Answers = append(b.request.Answers, passTensor{t.Name, t.Type.String(), t.Dims, at}); at == 0 {
			b.out = append(b.out, t)
		}
	}
	return b, nil
}

// Run is not what a decoder asks of a session.
func (s *plan) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) {
	return nil, fault.New(fault.Usage, "running", s.path, "a plan does not tell the shapes of its outputs", "bind them")
}

// Close frees what lies on the device. The worker keeps the plan open.
func (s *plan) Close() error {
	var errs []error
	for len(s.places) > 0 {
		errs = append(errs, s.Release(s.places[0].token))
	}
	return errors.Join(errs...)
}

// planPass is a pass whose tensors are known.
type planPass struct {
	s       *plan
	request passRequest
	in, out []onnx.Tensor // what crosses the pipe
}

// Run feeds the bytes as they are now and writes the answers where they belong.
func (b *planPass) Run() error {
	got, err := b.s.c.CallTensors(b.s.ctx, passJob, b.request, b.in, nil, progress.Noop)
	if err != nil {
		return err
	}
	if len(got) != len(b.out) {
		return fault.New(fault.Runtime, "running", b.s.path, fmt.Sprintf("the worker gave %d tensors, not %d", len(got), len(b.out)), "report this")
	}
	for i, t := range b.out {
		if len(got[i].Bytes) != len(t.Bytes) {
			return fault.New(fault.Runtime, "running", b.s.path, fmt.Sprintf("%s has %d bytes, not %d", t.Name, len(got[i].Bytes), len(t.Bytes)), "report this")
		}
		copy(t.Bytes, got[i].Bytes)
	}
	return nil
}

// Close frees nothing: a pass holds nothing in the worker.
func (b *planPass) Close() error { return nil }
