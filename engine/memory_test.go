package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/profiles"
)

func TestMemoryOfABuild(t *testing.T) {
	// Lines of NVIDIA's builder for two profiles of the demo.
	account := `Total Host Persistent Memory: 80 bytes
Total Device Persistent Memory: 0 bytes
Max Scratch Memory: 8462336 bytes
Total Activation Memory: 8462848 bytes
Name: a, LayerType: gemm, Inputs: [ { Datatype: Half }]
Total Host Persistent Memory: 80 bytes
Total Device Persistent Memory: 16 bytes
Max Scratch Memory: 8199680 bytes
Total Activation Memory: 8200192 bytes
Total Weights Memory: 27843328 bytes
`
	got, err := ReadMemory(strings.NewReader(account), []profiles.Profile{{Name: "prefill"}, {Name: "decode"}})
	want := &Memory{WeightsBytes: 27843328, Profiles: []ProfileMemory{
		{Profile: "prefill", ActivationBytes: 8462848, ScratchBytes: 8462336, HostBytes: 80},
		{Profile: "decode", ActivationBytes: 8200192, ScratchBytes: 8199680, HostBytes: 80, DeviceBytes: 16},
	}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	// trtexec puts times and levels in front.
	log := "[11/20/2026-10:10:10] [I] [TRT] " + strings.ReplaceAll(strings.TrimSpace(account), "\n", "\n[11/20/2026-10:10:10] [I] [TRT] ")
	if got, err = ReadMemory(strings.NewReader(log), []profiles.Profile{{Name: "prefill"}, {Name: "decode"}}); err != nil || !cmp.Equal(want, got) {
		t.Errorf("of trtexec: %+v, %v", got, err)
	}
	for name, cut := range map[string]string{"a profile less": account[strings.Index(account, "Name: "):], "nothing": "", "no number": strings.ReplaceAll(account, "8200192", "99999999999999999999")} {
		if got, err := ReadMemory(strings.NewReader(cut), []profiles.Profile{{Name: "prefill"}, {Name: "decode"}}); got != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
