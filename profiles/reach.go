package profiles

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Reach is which profiles a runtime can really run.
type Reach string

// The reaches. ONNX Runtime's TensorRT EP stays on the first profile of a
// session; TensorRT and TensorRT-RTX switch.
const (
	Any   Reach = "any"
	First Reach = "first"
)

// Runtime is what a version of a backend can reach, and why.
type Runtime struct {
	Backend string
	Since   string // the first version that this is true of; "" = all
	Known   string // the newest version that was looked at; "" = versions do not matter
	Reach   Reach
	Note    string
}

// runtimes is data: a version that behaves otherwise is one more line. Of one
// backend the newest version comes first.
var runtimes = []Runtime{
	{"ortcpu", "", "", Any, "ONNX Runtime's CPU EP has no profiles: it runs any shape"},
	{"rtx", "", "", Any, "TensorRT for RTX switches profiles between passes"},
	{"trtexec", "", "", Any, "TensorRT switches profiles; trtexec runs the one of --useProfile"},
	{"tensorrt", "", "", Any, "TensorRT switches profiles between passes"},
	{"polygraphy", "", "", Any, "TensorRT switches profiles; Polygraphy runs the one that is set"},
	{"triton", "", "", Any, "an instance runs the profiles that its instance group names"},
	{"nvrtx", "", "", Any, "needs nv_multi_profile_enable=1 and nv_profile_index in each run"},
	{"orttrt", "", "1.31", First, "ONNX Runtime's TensorRT EP never leaves the first profile of a session (as of 1.31; pull request 31624 would let it)"},
}

// Backends are the names that [ReachOf] knows.
func Backends() (names []string) {
	for _, r := range runtimes {
		if !slices.Contains(names, r.Backend) {
			names = append(names, r.Backend)
		}
	}
	return names
}

// ReachOf is what a backend can reach; version "" is the newest that is known. A
// backend that is not known is an error of class usage.
func ReachOf(backend, version string) (Runtime, error) {
	if !versionText.MatchString(version) {
		return Runtime{}, fault.New(fault.Usage, "", "", fmt.Sprintf("version %q of backend %s", version, backend), "want numbers with points between them, such as 1.31")
	}
	for _, r := range runtimes {
		if r.Backend == backend && (version == "" || r.Since == "" || !older(version, r.Since)) {
			if r.Known != "" && version != "" && older(r.Known, version) {
				r.Note = fmt.Sprintf("%s; version %s is newer than what is known (%s), and the same is assumed of it", r.Note, version, r.Known)
			}
			return r, nil
		}
	}
	return Runtime{}, fault.New(fault.Usage, "", "", fmt.Sprintf("backend %q is not known", backend), "want one of "+strings.Join(Backends(), ", "))
}

var versionText = regexp.MustCompile(`^(?:[0-9]{1,9}(?:\.[0-9]{1,9}){0,5})?$`)

// older compares versions number by number; what is no number is 0.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x < y
		}
	}
	return false
}
