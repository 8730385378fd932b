package rtx

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
)

func TestLayersOfABuild(t *testing.T) {
	f, err := os.Open("testdata/layers.txt") // lines that NVIDIA's builder printed
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got, err := Layers(f)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"gemm Int8": 2, "fused_gemm Half": 2, "kgen Half": 1, "kgen": 1, "ShapeHostToDevice": 1, "shape_call": 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWeightsAloneAreNoInt8Product(t *testing.T) {
	line := "Name: a, LayerType: gemm, Inputs: [ { Datatype: Half }], Constants: [ { Datatype: Int8 }], Outputs: [ { Datatype: Half }]\n"
	got, err := Layers(strings.NewReader(line))
	if err != nil || got["gemm Half"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

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
	got, err := memory(strings.NewReader(account), []profiles.Profile{{Name: "prefill"}, {Name: "decode"}})
	want := &engine.Memory{WeightsBytes: 27843328, Profiles: []engine.ProfileMemory{
		{Profile: "prefill", ActivationBytes: 8462848, ScratchBytes: 8462336, HostBytes: 80},
		{Profile: "decode", ActivationBytes: 8200192, ScratchBytes: 8199680, HostBytes: 80, DeviceBytes: 16},
	}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	for name, cut := range map[string]string{"a profile less": account[strings.Index(account, "Name: "):], "nothing": "", "no number": strings.ReplaceAll(account, "8200192", "99999999999999999999")} {
		if got, err := memory(strings.NewReader(cut), []profiles.Profile{{Name: "prefill"}, {Name: "decode"}}); got != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestRequestsThatCannotBeBuilt(t *testing.T) {
	b := &Builder{Start: func(context.Context) (Worker, error) {
		t.Error("a worker was started")
		return nil, nil
	}}
	plan := &profiles.Plan{Profiles: []profiles.Profile{{}}}
	for name, r := range map[string]engine.Request{
		"no profiles": {}, "no such target": {Plan: plan, Target: "sm75"},
	} {
		if _, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop); fault.Exit(err) != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLayers(f *testing.F) {
	seed, err := os.ReadFile("testdata/layers.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("Max Scratch Memory: 8462336 bytes\nTotal Activation Memory: 8462848 bytes\nTotal Weights Memory: 27843328 bytes\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		layers, err := Layers(bytes.NewReader(b))
		if err != nil {
			return
		}
		total := 0
		for _, n := range layers {
			total += n
		}
		lines := bytes.Count(b, []byte("\n")) + 1
		if total > lines {
			t.Errorf("%d layers in %d lines", total, lines)
		}
		if _, err := integers(bytes.NewReader(b)); err != nil {
			t.Errorf("layers are read, products are not: %v", err)
		}
		if m, err := memory(bytes.NewReader(b), []profiles.Profile{{Name: "one"}}); err != nil || m != nil && (len(m.Profiles) != 1 || m.WeightsBytes < 0) {
			t.Errorf("memory %+v, %v", m, err)
		}
	})
}
