//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
)

// add appends the provider to a session's options.
func (p Provider) add(to *ortgo.SessionOptions) error {
	var err error
	switch {
	case p.Library != "":
		err = p.addPlugin(to)
	case p.Name == TensorRT:
		err = with(ortgo.NewTensorRTProviderOptions, p.Options, to.AppendExecutionProviderTensorRT)
	case p.Name == CUDA:
		err = with(ortgo.NewCUDAProviderOptions, p.Options, to.AppendExecutionProviderCUDA)
	default:
		return fault.New(fault.Usage, "choosing", "an execution provider", fmt.Sprintf("%q is none that is built in", p.Name), "use tensorrt or cuda, or name a plugin's library")
	}
	if p.Strict && err == nil {
		err = to.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1")
	}
	return p.explain(err)
}

// device is the number of the GPU that the provider runs on: 0 unless its options
// say another.
func (p *Provider) device() int {
	if p == nil {
		return 0
	}
	n, _ := strconv.Atoi(p.Options["device_id"])
	return n
}

// settable is what onnxruntime_go's options of a provider are.
type settable interface {
	Update(map[string]string) error
	Destroy() error
}

// with makes options, sets them and hands them over.
func with[T settable](blank func() (T, error), options map[string]string, add func(T) error) error {
	o, err := blank()
	if err != nil {
		return err
	}
	defer func() { _ = o.Destroy() }()
	if err := o.Update(options); err != nil {
		return err
	}
	return add(o)
}

// registered are the plugins of this process: a library is registered once.
var registered = map[string]bool{}

// addPlugin loads the plugin and appends the one of its devices that is asked for: the
// TensorRT plugin refuses a session of several. A plugin without a device is no error
// of ONNX Runtime's, and one of ours: the session would run on the CPU.
func (p Provider) addPlugin(to *ortgo.SessionOptions) error {
	if !registered[p.Library] {
		if err := ortgo.RegisterExecutionProviderLibrary(p.Name, p.Library); err != nil {
			return fault.Wrap(fault.Missing, "loading plugin", p.Library, err, "check that it is built for this ONNX Runtime and that TensorRT's libraries are found beside it")
		}
		registered[p.Library] = true
	}
	all, err := ortgo.GetEpDevices()
	if err != nil {
		return err
	}
	lacks := func(cause string) error {
		return fault.New(fault.Missing, "using plugin", p.Library, cause, "install the NVIDIA driver; `trtforge doctor --need gpu` says what it sees")
	}
	var names, numbers []string
	for _, d := range all {
		if names = append(names, d.EpName()); d.EpName() != p.Name {
			continue
		}
		number, err := epOption(d, "device_id")
		if err != nil {
			return err
		}
		if number == "" || number == strconv.Itoa(p.device()) {
			return to.AppendExecutionProviderV2([]ortgo.EpDevice{d}, p.Options)
		}
		numbers = append(numbers, number)
	}
	if len(numbers) > 0 {
		return lacks(fmt.Sprintf("it shows the devices %s of %s, and not %d", strings.Join(numbers, ", "), p.Name, p.device()))
	}
	return lacks(fmt.Sprintf("it shows no device of %s; ONNX Runtime knows of %s", p.Name, strings.Join(names, ", ")))
}

// lacks are what ONNX Runtime says where the machine lacks something.
var lacks = []string{
	"Failed to load library", "cannot open shared object file", "is not enabled in this build",
	"CUDA driver version is insufficient", "no CUDA-capable device", "CUDA failure 35", "CUDA failure 100",
}

// explain gives an error its class: what the machine lacks, or a bad option.
func (p Provider) explain(err error) error {
	if err == nil || fault.Classify(err) != fault.Runtime {
		return err
	}
	text := err.Error()
	switch {
	case slices.ContainsFunc(lacks, func(part string) bool { return strings.Contains(text, part) }):
		return fault.Wrap(fault.Missing, "using ONNX Runtime's provider", p.Name, clean(err), "`trtforge doctor --need gpu,cuda,trt` says what is missing")
	case strings.Contains(text, "provider option"):
		return fault.Wrap(fault.Usage, "setting options of ONNX Runtime's provider", p.Name, clean(err), "check the name and the value")
	}
	return fault.Wrap(fault.Runtime, "using ONNX Runtime's provider", p.Name, clean(err), "")
}

// gpu adds what a session on another device asks for.
func (o Options) gpu(options *ortgo.SessionOptions) error {
	var errs []error
	if o.Record {
		errs = append(errs, options.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1"))
	}
	for k, v := range o.Config {
		errs = append(errs, options.AddSessionConfigEntry(k, v))
	}
	if o.Provider != nil {
		errs = append(errs, o.Provider.add(options))
	}
	return errors.Join(errs...)
}
