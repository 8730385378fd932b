package task

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/doctor"
)

func TestWhichGPUsRunAnEngine(t *testing.T) {
	gpu := func(compute string) *doctor.GPU { return &doctor.GPU{Compute: compute} }
	for _, c := range []struct {
		backend, target string
		g               *doctor.GPU
		why             string
	}{
		{"rtx", "", nil, noGPU}, {"orttrt", "", nil, "orttrt engines run on an NVIDIA GPU only"},
		{"rtx", "", gpu("8.9"), ""}, {"rtx", "", gpu("12.0"), ""}, {"rtx", "", gpu("9.0"), "this machine's GPU is sm90"},
		{"rtx", "sm80", gpu("8.0"), ""}, {"rtx", "sm80", gpu("8.9"), "it is for sm80, this machine's GPU is sm89"},
		{"trtexec", "", gpu("9.0"), ""},
	} {
		if got := unfit(c.backend, c.target, c.g); got != c.why && (c.why == "" || !strings.HasSuffix(got, c.why)) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
