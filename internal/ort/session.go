//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Session is a loaded model.
type Session struct {
	path    string
	in, out []Info
	s       *ortgo.DynamicAdvancedSession
	bounds  map[*bound]bool // closed before the session: they point into it
	device  *device         // where Place puts what it gives; nil: nowhere
	options *ortgo.RunOptions
	steps   *Session // what runs where forStep says so
	forStep func(in []onnx.Tensor) bool
}

// Open loads a model. A file that ONNX Runtime does not take is fault.Input.
func Open(path string, o Options) (*Session, error) {
	if !ortgo.IsInitialized() {
		return nil, fault.New(fault.Runtime, "opening", path, "ONNX Runtime is not loaded in this process", "")
	}
	in, out, err := describe(path, o.Weights)
	if err != nil {
		return nil, err
	}
	options, err := o.session()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	defer func() { _ = options.Destroy() }()
	made, err := ortgo.NewDynamicAdvancedSession(path, names(in), names(out), options)
	if err != nil {
		return nil, o.refused(path, err)
	}
	s := &Session{path: path, in: in, out: out, s: made, bounds: map[*bound]bool{}}
	if err := s.equip(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// refused is the error of a session that is not made. With a provider it is
// seldom the model's fault.
func (o Options) refused(path string, err error) error {
	if o.Provider != nil {
		return fmt.Errorf("opening %s: %w", path, o.Provider.explain(err))
	}
	return fault.Wrap(fault.Input, "opening", path, clean(err), "check that this version of ONNX Runtime has the model's operators and opset")
}

// equip gives the session a device's memory and run options where they are asked for.
func (s *Session) equip(o Options) (err error) {
	if o.Device != "" {
		if s.device, err = openDevice(s, o.Device, 0); err != nil {
			return err
		}
	}
	if len(o.Run) == 0 {
		return nil
	}
	if s.options, err = ortgo.NewRunOptions(); err != nil {
		return fmt.Errorf("opening %s: %w", s.path, err)
	}
	for k, v := range o.Run {
		err = errors.Join(err, s.options.AddRunConfigEntry(k, v))
	}
	return err
}

// Steps hands the runs for which is holds to another session of the same inputs
// and outputs, which is closed with this one. What one places, both can bind.
func (s *Session) Steps(other *Session, is func(in []onnx.Tensor) bool) {
	s.steps, s.forStep = other, is
}

// chosen is the session that runs a feed.
func (s *Session) chosen(in []onnx.Tensor) *Session {
	if s.steps != nil && s.forStep(in) {
		return s.steps
	}
	return s
}

// Inputs are what the model wants to be fed.
func (s *Session) Inputs() []Info { return slices.Clone(s.in) }

// Outputs are what the model answers.
func (s *Session) Outputs() []Info { return slices.Clone(s.out) }

// Close frees the session and what is bound to it.
func (s *Session) Close() error {
	if s.s == nil {
		return nil
	}
	var errs []error
	for b := range s.bounds {
		errs = append(errs, b.Close())
	}
	errs = append(errs, s.device.close())
	if s.options != nil {
		errs = append(errs, s.options.Destroy())
	}
	errs = append(errs, s.s.Destroy())
	s.s, s.device = nil, nil
	if s.steps != nil {
		errs = append(errs, s.steps.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing %s: %w", s.path, err)
	}
	return nil
}

var levels = map[Optimize]ortgo.GraphOptimizationLevel{
	"":               ortgo.GraphOptimizationLevelEnableAll,
	OptimizeAll:      ortgo.GraphOptimizationLevelEnableAll,
	OptimizeExtended: ortgo.GraphOptimizationLevelEnableExtended,
	OptimizeBasic:    ortgo.GraphOptimizationLevelEnableBasic,
	OptimizeNone:     ortgo.GraphOptimizationLevelDisableAll,
}

func (o Options) session() (*ortgo.SessionOptions, error) {
	level, ok := levels[o.Optimize]
	if !ok {
		return nil, fault.New(fault.Usage, "choosing", "the optimisation level", fmt.Sprintf("%q is none", o.Optimize), "use all, extended, basic or none")
	}
	options, err := ortgo.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	threads, spin := o.Threads, "0"
	if threads <= 0 {
		threads = Threads()
	}
	if o.Spin {
		spin = "1"
	}
	err = errors.Join(
		options.SetGraphOptimizationLevel(level),
		options.SetIntraOpNumThreads(threads),
		options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
		o.beside(options),
		o.save(options),
		o.gpu(options),
	)
	if err != nil {
		_ = options.Destroy()
		return nil, err
	}
	return options, nil
}

// beside tells where external data lie.
func (o Options) beside(options *ortgo.SessionOptions) error {
	if o.Weights == "" {
		return nil
	}
	return options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", o.Weights)
}

func (o Options) save(options *ortgo.SessionOptions) error {
	if o.SaveOptimized == "" {
		return nil
	}
	// ONNX Runtime appends to a data file that is there already.
	if err := os.Remove(o.SaveOptimized + ".data"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return errors.Join(
		options.SetOptimizedModelFilePath(o.SaveOptimized),
		options.AddSessionConfigEntry("session.optimized_model_external_initializers_file_name", filepath.Base(o.SaveOptimized)+".data"),
		options.AddSessionConfigEntry("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
	)
}

func names(all []Info) []string {
	var list []string
	for _, i := range all {
		list = append(list, i.Name)
	}
	return list
}

// find matches tensors with what the model declares, and reports everything
// that does not fit.
func find(what string, tensors []onnx.Tensor, declared []Info) (map[string]onnx.Tensor, error) {
	byName := map[string]onnx.Tensor{}
	var errs []error
	for _, t := range tensors {
		i := slices.IndexFunc(declared, func(i Info) bool { return i.Name == t.Name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s %q does not exist; there are %s", what, t.Name, strings.Join(names(declared), ", ")))
			continue
		}
		errs = append(errs, fits(what, t, declared[i]))
		byName[t.Name] = t
	}
	return byName, errors.Join(errs...)
}

// fits compares a tensor with its declaration and its bytes with its shape.
func fits(what string, t onnx.Tensor, want Info) error {
	if t.Type != want.Type {
		return fmt.Errorf("%s %q is %s, the model declares %s", what, t.Name, t.Type, want.Type)
	}
	size, err := t.Type.Bytes(t.Dims)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, t.Name, err)
	}
	if int64(len(t.Bytes)) != size {
		return fmt.Errorf("%s %q: shape %v of %s takes %d bytes, not %d", what, t.Name, t.Dims, t.Type, size, len(t.Bytes))
	}
	if want.Dims == nil {
		return nil
	}
	bad := len(t.Dims) != len(want.Dims)
	for k := 0; !bad && k < len(t.Dims); k++ {
		d := want.Dims[k]
		bad = d.Symbol == "" && d.Size >= 0 && d.Size != t.Dims[k]
	}
	if bad {
		return fmt.Errorf("%s %q has shape %v, the model declares %v", what, t.Name, t.Dims, want.Dims)
	}
	return nil
}

// clean drops what onnxruntime_go puts before ONNX Runtime's own message.
func clean(err error) error {
	text := err.Error()
	for _, prefix := range []string{"Error creating C session from file: ", "Error running network: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return errors.New(text)
}
