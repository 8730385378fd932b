package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/engine/orttrt"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// buildBackends are the values of --backend.
func buildBackends() []string { return append([]string{"rtx", "ortcpu"}, local.Backends()...) }

// planned tells whether a backend builds profiles.
func planned(backend string) bool {
	return backend == "rtx" || local.Is(backend) && local.Plans(backend)
}

// check finds every flag that cannot be, before a file is read.
func (o BuildOptions) check() error {
	var errs []error
	bad := func(cause, fix string) { errs = append(errs, fault.New(fault.Usage, "", "", cause, fix)) }
	p := engine.Precision(o.Precision)
	if p != "" && !slices.Contains([]engine.Precision{engine.FP32, engine.FP16, engine.BF16, engine.INT8, engine.W8}, p) {
		bad(fmt.Sprintf("--precision %q", o.Precision), "want fp32, fp16, bf16, int8 or w8, or leave it out")
	}
	switch {
	case !slices.Contains(buildBackends(), o.Backend):
		bad(fmt.Sprintf("--backend %q", o.Backend), "want one of "+strings.Join(buildBackends(), ", "))
	case planned(o.Backend) && o.Plan == "":
		bad("an engine of "+o.Backend+" needs profiles, and --plan names none", "derive a plan first: `trtforge profiles derive`")
	case !planned(o.Backend) && o.Plan != "":
		bad(o.Backend+" has no profiles, and --plan names some", "leave it out")
	}
	if o.Target != "" && o.Backend != "rtx" {
		bad("--target is of rtx: other engines are for this machine", "leave it out")
	}
	if o.Backend == "rtx" {
		errs = append(errs, rtx.CheckTarget(o.Target))
	}
	if o.Backend != local.TensorRT && (o.Split || o.Implicit || o.Table != "" || o.Plugin != "") {
		bad("--split, --implicit, --table and --plugin are of orttrt", "leave them out, or say --backend orttrt")
	}
	if o.Trtexec != "" && o.Backend != local.Trtexec {
		bad("--trtexec is of backend trtexec", "leave it out, or say --backend trtexec")
	}
	if o.Implicit && !slices.Contains([]engine.Precision{engine.FP16, engine.BF16, engine.INT8}, p) {
		bad("--implicit says no precision", "say --precision fp16, bf16 or int8")
	}
	if o.Table != "" && !o.Implicit {
		bad("--table is of --implicit: a graph that is quantized has its ranges inside", "leave it out, or say --implicit")
	}
	if o.Timeout <= 0 {
		bad(fmt.Sprintf("--timeout %v", o.Timeout), "want a time above 0")
	}
	if _, err := o.memory(); err != nil {
		bad("--memory-limit: "+err.Error(), "write a number and a unit, for instance 8GB")
	}
	if o.Memory != "" && local.Is(o.Backend) {
		bad("--memory-limit is of rtx and ortcpu", "leave it out")
	}
	return errors.Join(errs...)
}

// memory is the limit that the flags set, 0 for none.
func (o BuildOptions) memory() (int64, error) {
	if o.Memory == "" {
		return 0, nil
	}
	return parseSize(o.Memory)
}

// request is what the flags ask for, but for the digest of the graph. Everything
// wrong with them is told before anything runs.
func (o BuildOptions) request(path string) (r engine.Request, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	r = engine.Request{Backend: o.Backend, Target: o.Target}
	var errs [3]error
	r.Options, errs[0] = o.options()
	if o.Plan != "" {
		r.Plan, errs[1] = profiles.Load(o.Plan)
	}
	errs[2] = o.readGraph(path, &r)
	wrong := errors.Join(errs[:]...)
	switch {
	case !local.Is(o.Backend): // its builder is asked in any case before it starts
	case wrong == nil:
		return r, local.Prove(r)
	case r.Plan != nil && r.Contract != nil: // nothing can be proved of wrong options
		err := profiles.Validate(r.Contract, r.Plan.Profiles)
		return r, errors.Join(wrong, fault.Wrap(fault.Usage, "checking", o.Plan, err, "derive the plan from this graph"))
	}
	return r, wrong
}

// readGraph puts into a request what the graph says.
func (o BuildOptions) readGraph(path string, r *engine.Request) (err error) {
	if r.Model, err = graphFile(path); err != nil {
		return err
	}
	m, err := onnx.Load(r.Model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	var wrong, unclear error
	r.Precision, wrong = o.precision(m, r.Model)
	r.Contract, unclear = o.contract(m)
	r.Name = o.Backend + "-" + string(r.Precision)
	return errors.Join(wrong, unclear)
}

// precision is the graph's, or that of the flags where those decide.
func (o BuildOptions) precision(m *onnx.Model, path string) (engine.Precision, error) {
	p := engine.Precision(o.Precision)
	got := engine.PrecisionOf(m)
	switch {
	case o.Implicit:
		return p, fault.Wrap(fault.Input, "building", path, engine.CheckGraph(m, engine.FP32), "--implicit is of graphs that say nothing; leave it out")
	case p != "" && p != got:
		return got, fault.Wrap(fault.Input, "building", path, engine.CheckGraph(m, p), "leave --precision out, or quantize the model first")
	case o.Backend == "ortcpu" && got == engine.BF16:
		return got, fault.New(fault.Input, "building", path, "ONNX Runtime's CPU has no BF16 products", "build it for --backend rtx")
	}
	return got, nil
}

// options are those of the builder, in the form that the key is made of.
func (o BuildOptions) options() (map[string]string, error) {
	of := map[string]string{}
	for _, text := range o.Options {
		name, value, found := strings.Cut(text, "=")
		if _, twice := of[name]; !found || twice {
			return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("--option %q", text), "write NAME=VALUE, each name once")
		}
		of[name] = value
	}
	if !local.Is(o.Backend) {
		if len(of) > 0 {
			return nil, fault.New(fault.Usage, "", "", o.Backend+" has no options, and --option names some", "leave it out")
		}
		return nil, nil
	}
	for _, name := range []string{"split", "implicit", "table"} {
		if _, given := of[name]; given {
			return nil, fault.New(fault.Usage, "", "", "--option "+name, "it is a flag of its own: --"+name)
		}
	}
	if o.Split {
		of["split"] = "1"
	}
	if o.Implicit {
		of["implicit"] = o.Precision
	}
	if o.Table != "" {
		digest, err := fsx.Digest(o.Table)
		if err != nil {
			return nil, err
		}
		of["table"] = digest
		native, err := orttrt.NativeTable(o.Table)
		if err != nil {
			return nil, err
		}
		if _, given := of["table-native"]; native && !given {
			of["table-native"] = "1"
		}
	}
	return local.Canonical(o.Backend, of)
}

// device is the GPU that the options name.
func (o BuildOptions) device(of map[string]string) int {
	c, err := orttrt.ParseChoices(map[string]string{"device": of["device"]})
	if err != nil {
		return 0 // none was named
	}
	return c.Device
}

// contract is what the graph's inputs mean; a CPU engine can do without, unless the
// flags say what it is.
func (o BuildOptions) contract(m *onnx.Model) (*contract.Contract, error) {
	c, err := infer(m, o.Bind)
	if err != nil && o.Backend == "ortcpu" && len(o.Bind) == 0 {
		return nil, nil
	}
	return c, err
}

// digestOf is the digest of a graph.
func digestOf(path string) (string, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Close() }()
	return m.Digest()
}
