package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// inspectedPlan is a plan as inspect prints it.
type inspectedPlan struct {
	Kind string `json:"kind"` // "plan"
	planfile.Header
	Runs bool   `json:"runs_here"`
	Why  string `json:"why_not,omitempty"`
}

// isPlan knows a plan by its tag, and by a name that only plans have: what such a
// file lacks is to be said.
func isPlan(name string, head []byte) bool {
	return planfile.Is(head) || slices.Contains([]string{".engine", ".plan", ".trt"}, filepath.Ext(name))
}

func inspectPlan(_ InspectOptions, g *globals, path string) error {
	x, err := lookAtPlan(path)
	if err != nil {
		return err
	}
	return g.print(x, x.write)
}

func lookAtPlan(path string) (inspectedPlan, error) {
	h, err := planfile.Read(path)
	if err != nil {
		return inspectedPlan{}, err
	}
	return judge(h), nil
}

// judge holds a header against this machine.
func judge(h planfile.Header) inspectedPlan {
	compute := ""
	if gpus, err := doctor.ThisMachine("").Answer(context.Background()); err == nil && len(gpus) > 0 {
		compute = gpus[0].Compute
	}
	x := inspectedPlan{Kind: "plan", Header: h, Why: h.Misfit(compute, libraryVersion(h.Family))}
	x.Runs = x.Why == ""
	return x
}

// libraryVersion is that of the library of a family which is installed here, or "".
func libraryVersion(family planfile.Family) string {
	if family == planfile.RTX {
		if _, ok := runtimes.Find("rtx"); ok {
			return runtimes.VersionOf("rtx")
		}
		return ""
	}
	if libs := runtimes.FindShared("nvinfer", runtimes.LibraryDirs()); len(libs) > 0 {
		return libs[0].Version
	}
	return ""
}

func (x inspectedPlan) write(w io.Writer) error {
	text := fmt.Sprintf("a plan of %s %s", x.Family, x.Version)
	if x.Targets != nil {
		text += ", for " + strings.Join(x.Targets, ", ")
	}
	if x.Bytes > 0 {
		text += ", " + bytesText(x.Bytes) + ", whole"
	}
	verdict := "this machine has what it asks for"
	if !x.Runs {
		verdict = "not to be run here: " + x.Why
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", text, verdict)
	return err
}

// writeContext is an EPContext node in words.
func writeContext(w io.Writer, c planfile.Context) error {
	where := "embedded"
	if !c.Embedded {
		where = "in " + c.File
	}
	if _, err := fmt.Fprintf(w, "EPContext %q: %s, %s\n", c.Node, where, bytesText(c.Bytes)); err != nil {
		return err
	}
	for _, f := range [][2]string{{"compiled by", c.Source}, {"version", c.SDK}, {"for", c.Hardware}, {"problem", c.Problem}} {
		if f[1] != "" {
			_, _ = fmt.Fprintf(w, "  %s %s\n", f[0], f[1])
		}
	}
	if c.Plan == nil || c.Problem != "" {
		return nil
	}
	return judge(*c.Plan).write(w)
}

// isEngineManifest knows the manifest of an engine that lies there with its seal. A
// manifest alone is shown as what it has left to show, its profiles.
func isEngineManifest(name string, head []byte) bool {
	return jsonOf(formManifest)(name, head) && filepath.Base(name) == engine.ManifestFile && store.IsEngine(filepath.Dir(name))
}

// inspectEngine shows an engine of a directory, proved.
func inspectEngine(_ InspectOptions, g *globals, path string) error {
	e, err := store.Look(filepath.Dir(path))
	if err != nil {
		return err
	}
	out := struct {
		*engine.Manifest
		Plan *inspectedPlan `json:"plan,omitempty"`
	}{Manifest: e.Manifest}
	if filepath.Ext(e.Manifest.File) == ".plan" {
		x, err := lookAtPlan(e.File())
		if err != nil {
			return err
		}
		out.Plan = &x
	}
	return g.print(out, func(w io.Writer) error {
		if err := writeEngine(w, e); err != nil || out.Plan == nil {
			return err
		}
		return out.Plan.write(w)
	})
}

// timingGPU is the GPU in the name that ONNX Runtime gives a timing cache.
var timingGPU = regexp.MustCompile(`_sm(\d+)\.timing$`)

// isTiming knows a timing cache by its names, which ONNX Runtime and trtexec's users
// give it: TensorRT does not say what it begins with. Calibration tables end in .cache
// too, and are text.
func isTiming(name string, head []byte) bool {
	return strings.HasSuffix(name, ".timing") || strings.HasSuffix(name, ".cache") && !isText(head)
}

func isText(head []byte) bool { return utf8.Valid(head) && !bytes.ContainsRune(head, 0) }

// inspectTiming shows a timing cache, whose layout TensorRT keeps to itself.
func inspectTiming(_ InspectOptions, g *globals, path string) error {
	head, err := headOf(path)
	if err != nil {
		return err
	}
	if isText(head) {
		return fault.New(fault.Input, "inspecting", path, "it is text, and no timing cache of TensorRT is", "look for the file that the builder wrote")
	}
	info, err := os.Stat(path)
	if err != nil {
		return fsx.Explain("inspecting", path, err)
	}
	out := struct {
		Kind  string `json:"kind"`
		Bytes int64  `json:"bytes"`
		GPU   string `json:"gpu,omitempty"` // by its name
	}{Kind: "timing_cache", Bytes: info.Size()}
	if m := timingGPU.FindStringSubmatch(path); m != nil {
		out.GPU = "sm" + m[1]
	}
	return g.print(out, func(w io.Writer) error {
		gpu := "; its name does not say for which GPU"
		if out.GPU != "" {
			gpu = ", for " + out.GPU + " by its name"
		}
		_, err := fmt.Fprintf(w, "a timing cache of TensorRT, %s%s\nTensorRT reads it only on the GPU, with the CUDA and in the version that wrote it, and checks that itself\n", bytesText(out.Bytes), gpu)
		return err
	})
}
