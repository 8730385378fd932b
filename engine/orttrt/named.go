package orttrt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
)

// option is a choice as people write it: NAME=VALUE.
type option struct {
	name string
	what string
	set  func(*Choices, string) error
	text func(Choices) string // "" where it is the default
}

// options are all choices, in the order in which help lists them.
var options = []option{
	{"level", "builder optimization level, 0 to 5 (3)",
		func(c *Choices, s string) error { return number(s, &c.Level) }, func(c Choices) string { return optional(c.Level) }},
	{"workspace", "bytes of device memory that a kernel may use (all)",
		func(c *Choices, s string) (err error) {
			c.WorkspaceBytes, err = strconv.ParseInt(s, 10, 64)
			return err
		},
		func(c Choices) string { return nonzero(c.WorkspaceBytes) }},
	{"streams", "auxiliary streams (the builder's choice)",
		func(c *Choices, s string) error { return number(s, &c.AuxStreams) }, func(c Choices) string { return optional(c.AuxStreams) }},
	flag("hardware-compatible", "one engine for compute capability 8.0 and above", func(c *Choices) *bool { return &c.HardwareCompatible }),
	flag("sequential", "build one engine at a time", func(c *Choices) *bool { return &c.Sequential }),
	flag("sparsity", "kernels for weights that are sparse 2:4", func(c *Choices) *bool { return &c.Sparsity }),
	flag("force-timing", "take a timing cache of a slightly different GPU", func(c *Choices) *bool { return &c.ForceTiming }),
	flag("tf32", "FP32 products may round to TF32", func(c *Choices) *bool { return &c.TF32 }),
	list("tactics", "tactic sources: +CUBLAS,-CUDNN", ",", func(c *Choices) *[]string { return &c.TacticSources }),
	list("plugins", "libraries of TensorRT plugins, with ; between them", ";", func(c *Choices) *[]string { return &c.Plugins }),
	list("exclude", "operators that are not TensorRT's to run", ",", func(c *Choices) *[]string { return &c.Exclude }),
	{"device", "which GPU (0)",
		func(c *Choices, s string) (err error) { c.Device, err = strconv.Atoi(s); return err },
		func(c Choices) string { return nonzero(int64(c.Device)) }},
	flag("embed", "the engine inside of the context model", func(c *Choices) *bool { return &c.Embed }),
	flag("split", "prefill and decode are an engine each", func(c *Choices) *bool { return &c.Split }),
	{"implicit", "precision by flags, on TensorRT 10 and older: fp16, bf16, int8, with commas between them",
		(*Choices).implicit, func(c Choices) string { return c.Implicit.precisions() }},
	{"table", "sha256 of the calibration table of implicit INT8",
		func(c *Choices, s string) error { *implied(c, (*Implicit).table) = s; return nil },
		func(c Choices) string { return *implied(&c, (*Implicit).table) }},
	flag("table-native", "that table is TensorRT's own cache", func(c *Choices) *bool { return implied(c, func(i *Implicit) *bool { return &i.NativeTable }) }),
	flag("norm-fp32", "layer norms in FP32 beside implicit FP16", func(c *Choices) *bool { return implied(c, func(i *Implicit) *bool { return &i.LayerNormFP32 }) }),
}

// Names says every option and what it is, a line each.
func Names() string {
	var b strings.Builder
	for _, o := range options {
		fmt.Fprintf(&b, "  %-20s %s\n", o.name, o.what)
	}
	return b.String()
}

// ParseChoices reads choices from options of a request, which are what its key is
// made of. Unknown names and malformed values are errors of class usage, all told
// at once.
func ParseChoices(of map[string]string) (Choices, error) {
	var c Choices
	var errs []error
	bad := func(name, cause, fix string) {
		errs = append(errs, fault.New(fault.Usage, "reading option", name, cause, fix))
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		i := slices.IndexFunc(options, func(o option) bool { return o.name == name })
		if i < 0 {
			bad(name, "there is no such option", "choose among\n"+Names())
			continue
		}
		if err := options[i].set(&c, of[name]); err != nil {
			bad(name, fmt.Sprintf("%q: %v", of[name], err), options[i].what)
		}
	}
	return c, errors.Join(errs...)
}

// Map is the choices as options of a request: what differs from the default, and
// TF32, which the machine's environment would otherwise decide.
func (c Choices) Map() map[string]string {
	all := map[string]string{}
	for _, o := range options {
		if text := o.text(c); text != "" {
			all[o.name] = text
		}
	}
	if !c.TF32 {
		all["tf32"] = "0"
	}
	return all
}

func flag(name, what string, at func(*Choices) *bool) option {
	return option{name, what,
		func(c *Choices, s string) (err error) {
			*at(c), err = strconv.ParseBool(s)
			return err
		},
		func(c Choices) string {
			if *at(&c) {
				return "1"
			}
			return ""
		}}
}

func list(name, what, sep string, at func(*Choices) *[]string) option {
	return option{name, what,
		func(c *Choices, s string) error {
			*at(c) = strings.Split(s, sep)
			return nil
		},
		func(c Choices) string { return strings.Join(*at(&c), sep) }}
}

func number(s string, into **int) error {
	n, err := strconv.Atoi(s)
	*into = &n
	return err
}

func optional(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func nonzero(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// implied is a field of implicit precision, which is there from then on.
func implied[T any](c *Choices, at func(*Implicit) *T) *T {
	if c.Implicit == nil {
		c.Implicit = &Implicit{}
	}
	return at(c.Implicit)
}

func (c *Choices) implicit(s string) error {
	for _, p := range strings.Split(s, ",") {
		at := map[engine.Precision]func(*Implicit) *bool{
			engine.FP16: func(i *Implicit) *bool { return &i.FP16 },
			engine.BF16: func(i *Implicit) *bool { return &i.BF16 },
			engine.INT8: func(i *Implicit) *bool { return &i.INT8 },
		}[engine.Precision(p)]
		if at == nil {
			return fmt.Errorf("%q is not fp16, bf16 or int8", p)
		}
		*implied(c, at) = true
	}
	return nil
}

func (i *Implicit) table() *string { return &i.Table }

// precisions are the flags, "fp16,int8"; "" for explicit precision.
func (i *Implicit) precisions() string {
	if i == nil {
		return ""
	}
	var all []string
	for _, p := range []struct {
		on bool
		is engine.Precision
	}{{i.FP16, engine.FP16}, {i.BF16, engine.BF16}, {i.INT8, engine.INT8}} {
		if p.on {
			all = append(all, string(p.is))
		}
	}
	return strings.Join(all, ",")
}

// narrowest is the precision that an engine with these flags is asked for.
func (i Implicit) narrowest() engine.Precision {
	switch {
	case i.INT8:
		return engine.INT8
	case i.BF16:
		return engine.BF16
	}
	return engine.FP16
}
