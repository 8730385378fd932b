package trtexec

import (
	"path/filepath"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// The files of an engine.
const (
	planFile  = "engine.plan"
	layerFile = "layers.json"
	logFile   = "trtexec.log"
)

// LogFile is what trtexec printed, its arguments first.
const LogFile = logFile

// arguments are those of a build into dir. TF32 is off, so that FP32 is FP32, and
// nothing is timed: bench does that.
func (t Tool) arguments(r engine.Request, model, dir, timing string) ([]string, error) {
	args := common(model, dir)
	if t.Major == 10 {
		args = append(args, "--stronglyTyped") // 11 knows nothing else
	}
	if timing != "" {
		args = append(args, "--timingCacheFile="+timing)
	}
	shapes, err := syntax.TrtexecArguments(r.Plan.Profiles)
	return append(args, shapes...), err
}

// common are the arguments that every version takes.
func common(model, dir string) []string {
	return []string{
		"--onnx=" + model, "--saveEngine=" + filepath.Join(dir, planFile),
		"--skipInference", "--noTF32", "--profilingVerbosity=detailed", "--exportLayerInfo=" + filepath.Join(dir, layerFile),
	}
}
