package runtimes

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// adopt proves what the user brought and remembers it.
func adopt(ctx context.Context, spec Spec, o Options) (Runtime, error) {
	r, err := offered(spec, o)
	if err != nil {
		return Runtime{}, err
	}
	if err := usable(spec, r); err != nil {
		return Runtime{}, fault.Wrap(fault.Usage, "setting up", spec.Name, err, "correct the path")
	}
	if r, err = tried(ctx, spec, r); err != nil {
		return Runtime{}, err
	}
	for _, warning := range differing(spec, r) {
		o.say("warning: %s", warning)
	}
	return r, editOverrides(func(m map[string]Runtime) { m[spec.Name] = r })
}

// tried is r with what it said when it was loaded. A library is looked into
// first, and where no Python could load it that must do.
func tried(ctx context.Context, spec Spec, r Runtime) (Runtime, error) {
	python, found := anyPython()
	if spec.library() {
		version, err := LibraryVersion(r.Library)
		if err != nil {
			return Runtime{}, fault.Wrap(fault.Usage, "setting up", spec.Name, err, "name the libonnxruntime.so file of a release")
		}
		r.Versions = map[string]string{"onnxruntime": version}
		if !found {
			return r, nil
		}
	}
	p, err := prove(ctx, spec, r, python)
	r.Versions, r.Site = p.Versions, p.Site
	return r, err
}

// offered turns the options into the runtime they name.
func offered(spec Spec, o Options) (Runtime, error) {
	refuse := func(flag, fix string) (Runtime, error) {
		return Runtime{}, fault.New(fault.Usage, "setting up", spec.Name, "it takes no "+flag, fix)
	}
	switch {
	case spec.library() && o.Python != "":
		return refuse("--python", "name its library with --ort-library")
	case !spec.library() && o.Library != "":
		return refuse("--ort-library", "name its interpreter with --python")
	}
	r := Runtime{Name: spec.Name, Brought: "--python"}
	path, into := o.Python, &r.Python
	if spec.library() {
		r.Brought = "--ort-library"
		path, into = o.Library, &r.Library
	} else if found, err := exec.LookPath(path); err == nil {
		path = found
	} else if errors.Is(err, exec.ErrNotFound) {
		return Runtime{}, fault.Wrap(fault.Usage, "setting up", spec.Name, err, "name an interpreter")
	}
	// Not EvalSymlinks: an environment's python is a link whose place matters.
	abs, err := filepath.Abs(path)
	*into = abs
	return r, err
}

// differing says where the user's versions are not the ones trtforge is tested
// with.
func differing(spec Spec, r Runtime) []string {
	lock, err := LockOf(spec.Name)
	if err != nil {
		return nil
	}
	var out []string
	for name, version := range r.Versions {
		// A build tag (2.15.0+cpu) does not make another version.
		plain, _, _ := strings.Cut(version, "+")
		if want, ok := lock.Versions[name]; ok && want != plain {
			out = append(out, name+" is "+version+", trtforge is tested with "+want)
		}
	}
	return out
}

// anyPython is an interpreter good enough to load a library with.
func anyPython() (string, bool) {
	for _, name := range pythonNames {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}
