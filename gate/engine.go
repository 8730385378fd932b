package gate

import (
	"strings"

	"github.com/trtforge/trtforge/engine"
)

// Engine is what is judged.
type Engine struct {
	Name      string
	Backend   string
	Precision string
	// Group is what engines must share beside the backend to be compared in speed:
	// the model, and the machine where rows come from several. It may be empty.
	Group string
	// Idle says why the engine was not run on this machine ("a TensorRT-RTX plan
	// runs on a GPU only"); empty where it was.
	Idle string
	// NoSpeed says why its speed promises nothing ("the CPU computes FP16 in
	// FP32"): speed gates are then not evaluated. Empty elsewhere.
	NoSpeed string
	// Note marks the figures of its speed ("this CPU has no VNNI"); empty elsewhere.
	Note string
	// BuildMS and Bytes are what choosing it costs; 0 where not known.
	BuildMS float64
	Bytes   int64
}

// What is known of ONNX Runtime's CPU provider.
const (
	cpuHalf = "the CPU provider computes FP16 in FP32 between casts"
	noVNNI  = "this CPU has no VNNI: INT8 products take several instructions here, and their speed says little about other machines"
)

// Of is an engine as gates see it, by its manifest. features are those of the CPU
// that ran it, in words ("avx2 avx512_vnni"); without any nothing is marked.
func Of(name string, m engine.Manifest, idle, features string) Engine {
	e := Engine{Name: name, Backend: m.Backend, Precision: string(m.Precision), Idle: idle, BuildMS: m.Measured.BuildMS, Bytes: m.Bytes}
	if m.Backend != "ortcpu" {
		return e
	}
	switch m.Precision {
	case engine.FP16:
		e.NoSpeed = cpuHalf
	case engine.INT8:
		if features != "" && !strings.Contains(features, "vnni") {
			e.Note = noVNNI
		}
	}
	return e
}
