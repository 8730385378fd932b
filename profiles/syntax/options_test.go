package syntax

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/epoptions"
)

// Every option map that we write passes the real parser and is held there as it was
// written. It reads names and scalars only, not shapes: these are the grammar's.
func TestTensorRTProviderTakesTheOptions(t *testing.T) {
	p := epoptions.New(t)
	sets, _ := many(t, ORT)
	var maps [][][2]string
	for _, all := range sets {
		names, values, err := options(ortKeys, all)
		if err != nil {
			t.Fatal(err)
		}
		var m [][2]string
		for i := range names {
			m = append(m, [2]string{names[i], values[i]})
		}
		maps = append(maps, m)
	}
	for i, v := range p.Parse(t, maps) {
		if !v.OK {
			t.Errorf("%v: %s", maps[i], v.Text)
		}
		for _, o := range maps[i] {
			if !strings.Contains(v.Text, o[0]+"="+o[1]) {
				t.Errorf("it holds %s\nnot %s=%s", v.Text, o[0], o[1])
			}
		}
	}
	t.Logf("%d maps of options", len(maps))

	// The parser can say no.
	for _, v := range p.Parse(t, [][][2]string{
		{{"trt_profile_min_shape", "a:1"}}, {{rtxKeys[0], "a:1"}}, {{ortKeys[0], "a:1"}, {"trt_builder_optimization_level", "high"}},
	}) {
		if v.OK || !strings.Contains(v.Text, "trt_") && !strings.Contains(v.Text, "nv_") {
			t.Errorf("a bad map: %+v", v)
		}
	}
}
