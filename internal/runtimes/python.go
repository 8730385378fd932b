package runtimes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// interpreter is a Python that can install: it has venv and pip.
type interpreter struct {
	Path    string `json:"path"`
	Version []int  `json:"version"`
	Venv    bool   `json:"venv"`
	Pip     string `json:"pip"` // the directory that contains the package pip
	Site    string `json:"site"`
}

const describePython = `import importlib.util as u, json, os, sys, sysconfig
pip = u.find_spec("pip")
print(json.dumps({"path": sys.executable, "version": list(sys.version_info[:3]), "venv": u.find_spec("venv") is not None,
    "pip": os.path.dirname(os.path.dirname(pip.origin)) if pip and pip.origin else "", "site": sysconfig.get_path("purelib")}))`

// pythonNames are tried in this order; a shim that runs nothing is passed over.
var pythonNames = [...]string{"python3", "python3.13", "python3.12", "python3.11"}

// findPython is the first Python 3.11 to 3.13 with venv and pip: TRTFORGE_PYTHON,
// and nothing else if it is set, or what the PATH has.
func findPython(ctx context.Context) (interpreter, error) {
	names := pythonNames[:]
	if path := os.Getenv("TRTFORGE_PYTHON"); path != "" {
		names = []string{path}
	}
	var tried []error
	for _, name := range names {
		py, err := describe(ctx, name)
		if err == nil {
			err = py.check()
		}
		if err == nil {
			return py, nil
		}
		if ctx.Err() != nil {
			return interpreter{}, context.Cause(ctx)
		}
		if !errors.Is(err, exec.ErrNotFound) {
			tried = append(tried, fmt.Errorf("%s: %w", name, err))
		}
	}
	cause := "there is none on the PATH"
	if len(tried) > 0 {
		cause = strings.ReplaceAll(errors.Join(tried...).Error(), "\n", "; ")
	}
	return interpreter{}, fault.New(fault.Missing, "finding", "Python 3.11, 3.12 or 3.13 with venv and pip", cause,
		"install it (Debian, Ubuntu: apt-get install python3 python3-venv python3-pip), or name one with TRTFORGE_PYTHON")
}

func describe(ctx context.Context, name string) (interpreter, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return interpreter{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := process{path: path, args: []string{"-c", describePython}}.run(ctx)
	if err != nil {
		return interpreter{}, errors.New("does not run")
	}
	var py interpreter
	if err := json.Unmarshal([]byte(lastLine(out)), &py); err != nil || len(py.Version) < 2 {
		return interpreter{}, errors.New("does not say its version")
	}
	return py, nil
}

func (py interpreter) check() error {
	switch {
	case py.Version[0] != 3 || py.Version[1] < 11 || py.Version[1] > 13:
		return fmt.Errorf("is Python %d.%d", py.Version[0], py.Version[1])
	case !py.Venv:
		return errors.New("has no venv")
	case py.Pip == "":
		return errors.New("has no pip")
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
