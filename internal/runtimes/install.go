package runtimes

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// job is one installation into one directory.
type job struct {
	spec Spec
	lock Lock
	dir  string
	py   interpreter
	o    Options
}

// fill installs and proves; over is the interpreter it was laid over.
func (j job) fill(ctx context.Context) (r Runtime, over string, err error) {
	log, err := os.Create(j.dir + ".log")
	if err != nil {
		return Runtime{}, "", fsx.Explain("writing", j.dir+".log", err)
	}
	defer func() { _ = log.Close() }()
	if j.spec.library() {
		r, err = j.fillLibrary(ctx, log)
	} else {
		r, over, err = j.fillVenv(ctx, log)
	}
	if err != nil {
		return Runtime{}, "", err
	}
	j.o.Progress.Note("loading it")
	proof, err := prove(ctx, j.spec, r, j.py.Path)
	if err != nil {
		return Runtime{}, "", err
	}
	r.Versions = proof.Versions
	_ = os.RemoveAll(j.cache()) // a convenience for the next try, and there will be none
	return r, over, nil
}

// fillLibrary takes the libraries out of ONNX Runtime's wheel: any Python's
// wheel has the same.
func (j job) fillLibrary(ctx context.Context, log io.Writer) (Runtime, error) {
	wheels := filepath.Join(j.dir, "tmp", "wheels")
	if err := j.pip(ctx, j.py.Path, log, "download", "--dest", wheels); err != nil {
		return Runtime{}, err
	}
	found, _ := filepath.Glob(filepath.Join(wheels, "*.whl"))
	if len(found) != 1 {
		return Runtime{}, fault.New(fault.Runtime, "setting up", j.spec.Name, fmt.Sprintf("pip downloaded %d wheels instead of 1", len(found)), "")
	}
	libs, err := unpackLibraries(found[0], filepath.Join(j.dir, "lib"))
	if err != nil {
		return Runtime{}, err
	}
	for _, lib := range libs {
		if strings.HasPrefix(filepath.Base(lib), "libonnxruntime.so.") {
			return Runtime{Name: j.spec.Name, Dir: j.dir, Library: lib}, nil
		}
	}
	return Runtime{}, fault.New(fault.Input, "unpacking", found[0], "it has no libonnxruntime.so", "get the wheel again")
}

// libraryName matches ONNX Runtime's own libraries inside its wheel.
var libraryName = regexp.MustCompile(`^libonnxruntime\w*\.so[.\d]*$`)

// unpackLibraries writes the libraries of a wheel into dir and gives their paths.
func unpackLibraries(wheel, dir string) ([]string, error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, fault.Wrap(fault.Input, "unpacking", wheel, err, "get the wheel again")
	}
	defer func() { _ = z.Close() }()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fsx.Explain("creating", dir, err)
	}
	var out []string
	for _, f := range z.File {
		name := path.Base(f.Name)
		if !libraryName.MatchString(name) {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return nil, fault.Wrap(fault.Input, "unpacking", wheel, err, "get the wheel again")
		}
		to := filepath.Join(dir, name)
		err = fsx.WriteFile(to, func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
		_ = in.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, to)
	}
	return out, nil
}

// fillVenv makes a Python environment and installs the lock into it.
func (j job) fillVenv(ctx context.Context, log io.Writer) (r Runtime, over string, err error) {
	j.o.Progress.Note("making the Python environment")
	// Without pip of its own: it is never used again, and making it starts a
	// grandchild that would outlive a kill.
	if _, err := (process{path: j.py.Path, args: []string{"-m", "venv", "--without-pip", j.dir}, log: log}).run(ctx); err != nil {
		return Runtime{}, "", j.explain(ctx, err)
	}
	python := filepath.Join(j.dir, "bin", "python")
	venv, err := describe(ctx, python)
	if err != nil {
		return Runtime{}, "", fault.Wrap(fault.Runtime, "setting up", j.spec.Name, err, "name another Python with TRTFORGE_PYTHON")
	}
	if j.spec.Over != "" {
		below, _ := Find(j.spec.Over) // Ensure has just made sure of it
		over = below.Python
		if err := layOver(venv.Site, j.py.Site); err != nil {
			return Runtime{}, "", err
		}
	}
	if j.o.IndexURL != "" && j.spec.takesIndex() {
		err = j.pipLoose(ctx, python, log)
	} else {
		err = j.pip(ctx, python, log, "install")
	}
	return Runtime{Name: j.spec.Name, Dir: j.dir, Python: python, Site: venv.Site}, over, err
}

// layOver lets the packages of one environment be imported in another.
func layOver(site, below string) error {
	return fsx.WriteFile(filepath.Join(site, "trtforge_below.pth"), func(w io.Writer) error {
		_, err := io.WriteString(w, below+"\n")
		return err
	})
}

// pythonBelow is the interpreter of the runtime that spec is laid over, with the
// pip of the one found: compiled packages need the same Python.
func pythonBelow(ctx context.Context, spec Spec, py interpreter) (interpreter, error) {
	below, ok := Find(spec.Over)
	if !ok {
		return interpreter{}, fault.New(fault.Missing, "setting up", spec.Name, spec.Over+" is not installed", "run `trtforge setup "+spec.Over+"`")
	}
	own, err := describe(ctx, below.Python)
	if err != nil {
		return interpreter{}, fault.Wrap(fault.Missing, "starting", below.Python, err, "install "+spec.Over+" again")
	}
	if own.Pip == "" {
		own.Pip = py.Pip
	}
	return own, nil
}

// treeBytes is the size of the files below dir, links not followed.
func treeBytes(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
