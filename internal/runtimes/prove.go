package runtimes

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// proof is what a runtime said when it was loaded.
type proof struct {
	Versions map[string]string `json:"versions"`
	Site     string            `json:"site"`
}

// loadORT loads a libonnxruntime and asks it for its version, through the two
// first entries of the C API's base, which never change.
const loadORT = `import ctypes, json, sys
class Base(ctypes.Structure):
    _fields_ = [("GetApi", ctypes.c_void_p), ("GetVersionString", ctypes.CFUNCTYPE(ctypes.c_char_p))]
lib = ctypes.CDLL(sys.argv[1])
lib.OrtGetApiBase.restype = ctypes.POINTER(Base)
print(json.dumps({"versions": {"onnxruntime": lib.OrtGetApiBase().contents.GetVersionString().decode()}}))`

// prove loads a runtime in a child, because a broken native library may take
// its process along. python is what loads a library; a Python environment loads
// itself.
func prove(ctx context.Context, spec Spec, r Runtime, python string) (proof, error) {
	args := []string{"-c", spec.probe}
	if spec.library() {
		args = []string{"-c", loadORT, r.Library}
	} else {
		python = r.Python
	}
	bounded, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := process{path: python, args: args}.run(bounded)
	if ctx.Err() != nil {
		return proof{}, context.Cause(ctx)
	}
	subject := r.Library + r.Python
	var p proof
	if err == nil {
		err = json.Unmarshal([]byte(lastLine(out)), &p)
	}
	if errors.Is(err, exec.ErrNotFound) {
		return proof{}, fault.Wrap(fault.Missing, "starting", subject, err, "check the path")
	}
	return p, fault.Wrap(fault.Runtime, "loading", subject, err, "it is installed but does not work here; the last line says why")
}
