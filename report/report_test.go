package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// sample is a report such as the demo makes: three engines that ran, three that
// wait for a GPU. Its numbers are made up.
func sample() Data {
	d := Data{Title: "demo", CreatedBy: "trtforge 0.1.0", Created: "3 November 2026, 14:05",
		Runs: []Run{{
			Command: "trtforge run examples/demo/pipeline.toml", Author: "trtforge 0.1.0", Created: "3 November 2026, 14:05",
			Model:    Model{Name: "opticks-gpt2", Digest: strings.Repeat("5f2c9b0a7d1e4c33", 4), Parameters: 3_421_184, Bytes: 13_684_736, Hidden: 192, Positions: 256},
			Versions: []Fact{{"trtforge", "0.1.0"}, {"ONNX Runtime", "1.32.0"}, {"TensorRT-RTX", "1.7.1.116"}, {"PyTorch", "2.15.0"}},
			Machine: &bench.Machine{CPU: "AMD EPYC 9B14", Features: []string{"avx2", "avx512f", "avx512_vnni"}, Cores: 2, Threads: 2, Memory: 24 << 30,
				OS: "linux/amd64", Kernel: "6.1.0", Turbo: "on", Load: 1.4, NoGPU: "none"},
			Inputs: []Fact{{"Calibration text", "Opticks, bytes 400,000 to 480,000"}, {"Evaluation text", "Opticks, bytes 480,000 to 560,000"}, {"Convention", "hf-nonoverlap(256)"}, {"Seed", "1"}},
			Files:  map[string]string{"rows.jsonl": strings.Repeat("0a9b8c7d6e5f4a3b", 4)},
		}},
		Warnings: []string{"the load of the machine was 1.4 on 2 cores when the measurement began"}}
	for _, s := range []struct {
		name          string
		batch, prompt int
	}{{"single_micro", 1, 8}, {"single_short", 1, 11}, {"single_medium", 1, 19}, {"single_long", 1, 27}, {"batch_short", 4, 11}, {"batch_medium", 4, 19}} {
		d.Scenarios = append(d.Scenarios, profiles.Scenario{Name: s.name, Batch: s.batch, PromptTokens: s.prompt, NewTokens: 8, Weight: 1})
	}
	d.Plan = samplePlan(d.Scenarios)
	d.Contract = sampleContract()
	for _, backend := range []string{"ortcpu", "rtx"} {
		for i, p := range []engine.Precision{engine.FP32, engine.FP16, engine.INT8} {
			m := engine.Manifest{Key: fmt.Sprintf("%d%s0b1c2d3e4f5a6978", i, backend), Backend: backend, Precision: p, Achieved: p,
				Builder: "ONNX Runtime 1.32.0, cpu avx avx2 f16c fma avx512f avx512vl avx512bw avx512_vnni", Bytes: []int64{13_700_000, 6_900_000, 8_100_000}[i], Measured: engine.Measured{BuildMS: []float64{410, 690, 830}[i]},
				Layers: map[string]int{"gemm " + string(p): 8, "softmax fp32": 4}, Target: "x86-64, AVX-512 VNNI"}
			e := Engine{Name: backend + "-" + string(p)}
			if backend == "rtx" {
				m.Builder, m.Target, m.Measured.BuildMS = "TensorRT-RTX 1.7.1.116", "ampere+", m.Measured.BuildMS*40
				m.Bytes = m.Bytes * 13 / 10
				e.Idle = "a TensorRT-RTX plan runs on a GPU only, and this machine has none"
			}
			e.Manifest = m
			d.Engines = append(d.Engines, e)
		}
	}
	d.Rows = sampleRows(d.Scenarios)
	d.Limits = map[string]gate.Limits{
		"fp32": {"ppl_ratio_max": 1.01}, "fp16": {"ppl_ratio_max": 1.05, "kl_mean_max": 0.01, "speedup_min": 1},
		"int8": {"ppl_ratio_max": 1.1, "kl_mean_max": 0.02, "speedup_min": 1.05}}
	d.Judge()
	return d
}

func sampleRows(scenarios []profiles.Scenario) []rows.Row {
	r := rand.New(rand.NewPCG(3, 4))
	var samples []bench.Sample
	for i, p := range []string{"fp32", "fp16", "int8"} {
		slow := []float64{1, 1.35, 0.72}[i]
		for _, s := range scenarios {
			n := 11
			if s.Name == "batch_medium" && p == "int8" {
				n = 4
			}
			for round := range n {
				noise := func() float64 { return 1 + 0.04*math.Abs(r.NormFloat64()) }
				one := bench.Sample{Engine: "ortcpu-" + p, Scenario: s.Name, Batch: s.Batch, PromptTokens: s.PromptTokens, NewTokens: s.NewTokens,
					Round: round, PeakRSS: 96 << 20}
				one.TTFT = slow * (0.9 + 0.11*float64(s.Batch*s.PromptTokens)) * noise()
				one.E2E = one.TTFT
				for range s.NewTokens - 1 {
					gap := slow * (0.7 + 0.16*float64(s.Batch)) * noise()
					one.Gaps, one.E2E = append(one.Gaps, gap), one.E2E+gap
				}
				if round == 5 && s.Name == "single_long" {
					one.TTFT, one.E2E = one.TTFT+70, one.E2E+70 // the machine was busy once
				}
				samples = append(samples, one)
			}
		}
	}
	all := bench.Rows(samples)
	for i, p := range []string{"fp32", "fp16", "int8"} {
		for j, phase := range []string{bench.Prefill, bench.Decode} {
			away := []float64{2e-6, -1.4e-4, 2.1e-3}[i] * (1 + 0.1*float64(j))
			kl := []float64{3e-9, 4e-6, 1.3e-3}[i] * (1 + 0.1*float64(j))
			add := func(name, unit string, v, lo, hi float64) {
				all = append(all, rows.Row{Engine: "ortcpu-" + p, Phase: phase, Name: name, Unit: unit, Value: v, Lo: lo, Hi: hi, N: 16320})
			}
			add(validate.Perplexity, "1", 23.8641*(1+away), 22.9, 24.8)
			add(validate.PPLRatio, "1", 1+away, 1+away-math.Abs(away)*0.6, 1+away+math.Abs(away)*0.6)
			add(validate.KLName(64, "mean"), "nats", kl, kl*0.8, kl*1.3)
			add(validate.Top1Agreement, "1", 1-kl*10, 1-kl*12, 1-kl*8)
		}
	}
	return all
}

func samplePlan(scenarios []profiles.Scenario) *profiles.Plan {
	plan := &profiles.Plan{Strategy: "phase", Profiles: []profiles.Profile{
		{Name: "prefill", Batch: profiles.Span{Min: 1, Opt: 1, Max: 4}, Seq: profiles.Span{Min: 8, Opt: 19, Max: 27}},
		{Name: "decode", Batch: profiles.Span{Min: 1, Opt: 1, Max: 4}, Seq: profiles.Span{Min: 1, Opt: 1, Max: 1}, Past: profiles.Span{Min: 8, Opt: 22, Max: 33}},
	}}
	plan.Demand = profiles.Demand(profiles.Workload{Mode: profiles.Cached, Scenarios: scenarios})
	return plan
}

func sampleContract() *contract.Contract {
	dim := func(r contract.Role) contract.Dim { return contract.Dim{Role: r} }
	cache := func(r contract.Role) []contract.Dim {
		return []contract.Dim{dim(contract.Batch), {Role: contract.Static, Size: 6}, dim(r), {Role: contract.Static, Size: 32}}
	}
	c := &contract.Contract{Layers: 4, Heads: 6, HeadDim: 32, Vocab: 4096, MaxPositions: 256, Logits: "all",
		Inputs: []contract.Tensor{
			{Name: "input_ids", Kind: contract.KindIDs, Type: "int64", Dims: []contract.Dim{dim(contract.Batch), dim(contract.Seq)}},
			{Name: "attention_mask", Kind: contract.KindMask, Type: "int64", Dims: []contract.Dim{dim(contract.Batch), dim(contract.Total)}}},
		Outputs: []contract.Tensor{{Name: "logits", Kind: contract.KindLogits, Type: "float",
			Dims: []contract.Dim{dim(contract.Batch), dim(contract.Seq), {Role: contract.Static, Size: 4096}}}}}
	for l := range 4 {
		c.Inputs = append(c.Inputs, contract.Tensor{Name: fmt.Sprintf("past_key_values.%d.key", l), Kind: contract.KindPastKey, Type: "float", Layer: l, Dims: cache(contract.Past)})
		c.Outputs = append(c.Outputs, contract.Tensor{Name: fmt.Sprintf("present.%d.key", l), Kind: contract.KindPresentKey, Type: "float", Layer: l, Dims: cache(contract.Total)})
	}
	return c
}

func TestGolden(t *testing.T) {
	for name, write := range map[string]func(io.Writer, Data) error{"report.html": HTML, "summary.md": Markdown} {
		var b bytes.Buffer
		if err := write(&b, sample()); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name), b.Bytes())
	}
}

// What a page must hold whatever it shows.
func TestPageIsSelfContainedAndSound(t *testing.T) {
	bad := sample()
	bad.Title = `<script>alert(1)</script>`
	bad.Plan.Demand = append(bad.Plan.Demand, profiles.Shape{Phase: profiles.Decode, Batch: 4, Seq: 1, Past: 90})
	for i := range bad.Rows {
		bad.Rows[i].Value, bad.Rows[i].Hi = math.NaN(), math.Inf(1)
	}
	for name, d := range map[string]Data{"sample": sample(), "empty": {}, "bad": bad} {
		var b bytes.Buffer
		if err := HTML(&b, d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := b.String()
		for _, part := range []string{"<script", "http://", "https://", "ZgotmplZ", "<no value>"} {
			if strings.Contains(text, part) {
				t.Errorf("%s: the page holds %q", name, part)
			}
		}
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
			d := xml.NewDecoder(strings.NewReader(svg))
			var err error
			for err == nil {
				_, err = d.Token()
			}
			if !errors.Is(err, io.EOF) || strings.Contains(svg, `="NaN"`) || !strings.Contains(svg, "<desc") {
				t.Errorf("%s: a picture is not sound: %v", name, err)
			}
		}
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if ids[m[1]] {
				t.Errorf("%s: id %s occurs twice", name, m[1])
			}
			ids[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if !ids[m[1]] {
				t.Errorf("%s: nothing has id %s", name, m[1])
			}
		}
	}
}
