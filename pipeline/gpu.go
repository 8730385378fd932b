package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/task"
)

// planned tells whether engines of a backend have profiles.
func planned(backend string) bool {
	return backend == "rtx" || local.Is(backend) && local.Plans(backend)
}

// findLocal looks, once a backend, for what this machine has of what engines of its
// GPU need: the builder, or what is missing in words.
func (j *job) findLocal(backend string) (lacks string) {
	if l, known := j.lacks[backend]; known {
		return l
	}
	timeout, _ := j.limits(longJob)
	b, err := local.Builder(context.Background(), doctor.ThisMachine(j.options.CreatedBy), backend, local.Options{Timeout: timeout, CreatedBy: j.options.CreatedBy})
	if err != nil {
		lacks = needs(err)
	} else {
		j.local[backend] = b
	}
	j.lacks[backend] = lacks
	return lacks
}

// idleFor says why an engine is not measured on this machine.
func idleFor(e *engineStage) string {
	if e.lacks != "" {
		return e.lacks
	}
	return task.IdleHere(context.Background(), e.Backend, e.Target)
}

// needs is what a machine lacks, by the names that doctor knows: "needs cuda, gpu".
func needs(err error) string {
	var names []string
	var walk func(error)
	walk = func(err error) {
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range all.Unwrap() {
				walk(e)
			}
			return
		}
		var f *fault.Error
		if errors.As(err, &f) && f.Subject != "" {
			names = append(names, f.Subject)
		}
	}
	walk(err)
	if len(names) == 0 {
		return "needs a GPU: " + err.Error()
	}
	return "needs " + strings.Join(names, ", ") + ": see `trtforge doctor`"
}

// unbuilt is the revision of engines that this machine cannot build, so that one that
// can builds them.
func unbuilt(lacks string) string { return "none: " + lacks }

// runUnbuilt does what can be done of an engine without its GPU: it proves that the
// builder would take the graph and the profiles, and says so in the manifest.
func (j *job) runUnbuilt(e *engineStage, model *stage) func(context.Context, string, progress.Counter) error {
	return func(_ context.Context, dir string, _ progress.Counter) error {
		r, err := j.request(e.EngineConfig, model)
		if err != nil {
			return err
		}
		if err := local.Prove(r); err != nil {
			return fmt.Errorf("proving %s: %w", e.Name(), err)
		}
		m := engine.Manifest{
			Kind: "manifest", SchemaVersion: engine.SchemaVersion, CreatedBy: j.options.CreatedBy,
			Backend: r.Backend, Precision: r.Precision, ModelDigest: r.ModelDigest, KVScale: r.KVScale(), Builder: unbuilt(e.lacks),
			Warnings: []string{"not built here: " + e.lacks + "; the graph and the profiles are what the builder takes"},
		}
		if r.Plan != nil {
			m.Profiles = r.Plan.Profiles
		}
		return fsx.WriteJSON(filepath.Join(dir, manifestFile), m)
	}
}

// localOptions are the options of an engine of this machine's GPU: a plan of prefill
// and decode is an engine each where a session runs one profile only.
func localOptions(backend string, plan *profiles.Plan) (map[string]string, error) {
	of := map[string]string{}
	if backend == local.TensorRT && plan != nil && len(plan.Profiles) > 1 {
		of["split"] = "1"
	}
	return local.Canonical(backend, of)
}
