// Package lint finds what is wrong with optimization profiles before anything is
// built, and says which failure each finding prevents.
//
// TensorRT judges a profile late: some mistakes end the build, some are warnings
// that nobody reads, and many are accepted and fail at run time, on the shape that
// needed them. Each rule here is data (an id, a severity, why it matters, what to
// do) and a function in a small file by subject; docs/rules.md lists them:
//
//	for _, f := range lint.Check(lint.Subject{Contract: c, Graph: lint.Facts(m), Profiles: p, Demand: d, Backend: lint.ORTTRT}) {
//		fmt.Println(f.ID, f.Severity, f.Message, f.Fix)
//	}
//
// Rules that are marked stricter refuse what NVIDIA's builder makes, with the
// run-time failure that they prevent; a test holds that against the builder. What
// is not known is not judged: without a graph, a contract or a demand the rules
// that need one are silent, and [Applied] tells which were heard.
//
// It builds nothing, runs nothing and reads no files. The rules that hold on any
// backend are profiles.Violations; logs of what failed already are
// profiles/explain.
package lint

import (
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// Severity is what a finding means: an error fails sooner or later, a warning
// wastes or surprises, an info is worth knowing.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Backend is who gets the profiles.
type Backend string

// The backends. TensorRT is its API, by which any caller sets shapes itself.
const (
	TensorRT   Backend = "tensorrt"
	RTX        Backend = "rtx" // TensorRT for RTX
	ORTTRT     Backend = "orttrt"
	RTXEP      Backend = "nvrtx" // ONNX Runtime's TensorRT-RTX EP
	Trtexec    Backend = "trtexec"
	Polygraphy Backend = "polygraphy"
	Triton     Backend = "triton"
)

// Backends are all of them.
func Backends() []Backend {
	return []Backend{TensorRT, RTX, ORTTRT, RTXEP, Trtexec, Polygraphy, Triton}
}

// whole tells backends whose parser must take every node of a graph; the others
// leave what it lacks to another execution provider.
func (b Backend) whole() bool { return b != ORTTRT && b != RTXEP }

// Options are what else decides whether a profile works. The zero value is a
// plain build of unknown version.
type Options struct {
	Refittable  bool   // or weight-stripped
	EngineCache bool   // trt_engine_cache_enable
	CachePrefix string // trt_engine_cache_prefix
	CUDAGraph   bool   // trt_cuda_graph_enable or enable_cuda_graph
	NoZero      bool   // the builder refuses sizes of 0
	TRT         string // version of TensorRT, "10.13"; "" = not known
	ORT         string // version of ONNX Runtime; "" = not known
}

// Subject is what is judged. Only Profiles must be there.
type Subject struct {
	Contract *contract.Contract // what the inputs mean; nil = what Graph says of them
	Graph    *Graph             // facts of the graph; nil = not known
	// Other is the contract of the graph that takes over this one's cache, or hands
	// it one: the decode graph beside a prefill graph. nil = there is none.
	Other    *contract.Contract
	Profiles []profiles.Profile
	Demand   []profiles.Shape
	Workload *profiles.Workload // names scenarios and steps of the demand; may be nil
	// PaddedPast says that past begins with one masked column, which has no position.
	PaddedPast bool
	Reach      profiles.Reach // "" = the backend's
	Backend    Backend        // "" = TensorRT
	Options    Options
}

// Finding is one thing that a rule has to say.
type Finding struct {
	ID          string        `json:"id"`
	Severity    Severity      `json:"severity"`
	Profile     int           `json:"profile"`          // -1 = of no single profile
	Also        []int         `json:"also,omitempty"`   // other profiles of which it is true in the same way
	Inputs      []string      `json:"inputs,omitempty"` // all those of which it is true in the same way
	Dim         int           `json:"dim"`              // -1 = of no single dimension
	Message     string        `json:"message"`
	Explanation string        `json:"explanation"`
	Fix         string        `json:"fix"`
	Stricter    bool          `json:"stricter,omitempty"` // than NVIDIA's builder
	Prevents    string        `json:"prevents,omitempty"` // the failure that is met otherwise
	Uncovered   *profiles.Gap `json:"uncovered,omitempty"`
}
