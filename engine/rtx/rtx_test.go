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
		if m, err := engine.ReadMemory(bytes.NewReader(b), []profiles.Profile{{Name: "one"}}); err != nil || m != nil && (len(m.Profiles) != 1 || m.WeightsBytes < 0) {
			t.Errorf("memory %+v, %v", m, err)
		}
	})
}
