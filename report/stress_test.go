package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// stress is a page with too much of everything: a dozen engines with long names,
// sweeps of batch and prompt, failures, accuracy by position, calibration and
// decisions. Its numbers are made up.
func stress() Data { return stressed() }

// stressed is made once: its intervals are drawn from many samples.
var stressed = sync.OnceValue(makeStress)

func makeStress() Data {
	d := sample()
	d.Title = "a-pipeline-with-a-name-that-somebody-thought-would-tell-everything-about-it"
	d.Scenarios = nil
	for _, batch := range []int{1, 2, 4, 8, 16, 32} {
		d.Scenarios = append(d.Scenarios, profiles.Scenario{Name: fmt.Sprintf("chat_batch_%d", batch), Batch: batch, PromptTokens: 128, NewTokens: 64, Weight: 1})
	}
	for _, prompt := range []int{16, 512, 1024, 2048} {
		d.Scenarios = append(d.Scenarios, profiles.Scenario{Name: fmt.Sprintf("summarise_a_document_of_%d_tokens", prompt), Batch: 1, PromptTokens: prompt, NewTokens: 64, Weight: 2})
	}
	d.Plan = samplePlan(d.Scenarios)
	d.Engines = nil
	for _, backend := range []string{"ortcpu", "orttrt", "rtx", "ortcuda"} {
		for i, p := range []engine.Precision{engine.FP32, engine.FP16, engine.INT8} {
			e := Engine{Name: backend + "-" + string(p)}
			if backend == "orttrt" {
				e.Name += "-sm89-with-a-very-long-suffix"
			}
			e.Manifest = engine.Manifest{Backend: backend, Precision: p, Achieved: p, Key: strings.Repeat(fmt.Sprint(i), 64), Bytes: int64(980e6 / float64(i+1)),
				Builder: backend + " 1.32.0", Measured: engine.Measured{BuildMS: float64(60000 * (i + 1))}, Layers: map[string]int{"gemm " + string(p): 96}}
			if backend == "rtx" {
				e.Idle = noGPU
			}
			d.Engines = append(d.Engines, e)
		}
	}
	d.Rows = stressRows(d.Engines, d.Scenarios)
	d.Calibration, d.Quantized = stressCalibration(), stressDecisions()
	d.Limits = map[string]gate.Limits{
		"fp32": {"ppl_ratio_max": 1.01, "ttft_max": 4000}, "fp16": {"ppl_ratio_max": 1.05, "kl_mean_max": 0.01, "speedup_min": 1, "top1_min": 0.99},
		"int8": {"ppl_ratio_max": 1.1, "ppl_ratio_hi_max": 1.003, "kl_mean_max": 0.02, "speedup_min": 1.05, "speedup_over_fp16_min": 1, "tpot_max": 30, "memory_max": 4e9}}
	d.Judge()
	return d
}

const noGPU = "a TensorRT-RTX plan runs on an RTX GPU only, and this machine has none"

func stressRows(engines []Engine, scenarios []profiles.Scenario) []rows.Row {
	r := rand.New(rand.NewPCG(7, 8))
	var samples []bench.Sample
	var all []rows.Row
	for i, e := range engines {
		if e.Idle != "" {
			continue
		}
		slow := []float64{1, 0.55, 0.42}[i%3] * []float64{1, 0.09, 0, 0.14}[i/3]
		for _, s := range scenarios {
			failing := strings.HasPrefix(e.Name, "orttrt-int8") && s.PromptTokens > 1000
			for round := range 8 {
				one := bench.Sample{Engine: e.Name, Scenario: s.Name, Mode: bench.Cached, Batch: s.Batch, PromptTokens: s.PromptTokens, NewTokens: s.NewTokens, Round: round, PeakRSS: 3 << 30}
				if failing {
					one.Failure = &bench.Failure{Class: bench.Class("shape"), Cause: "past_key_values.0.key: 1x12x2048x64 lies outside profile 0, [1, 4] x 12 x [0, 1024] x 64"}
				}
				noise := func() float64 { return math.Exp(0.03 * r.NormFloat64()) }
				one.TTFT = slow * (2 + 0.35*float64(s.Batch*s.PromptTokens)*(1+float64(s.PromptTokens)/9000)) * noise()
				one.E2E = one.TTFT
				for range s.NewTokens - 1 {
					gap := slow * (9 + 1.1*float64(s.Batch) + 0.004*float64(s.PromptTokens)) * noise()
					one.Gaps, one.E2E = append(one.Gaps, gap), one.E2E+gap
				}
				samples = append(samples, one)
			}
		}
		for _, phase := range []string{bench.Prefill, bench.Decode} {
			all = append(all, stressAccuracy(r, e.Name, phase, []float64{1e-8, 3e-5, 2.5e-3}[i%3])...)
		}
	}
	all = append(all, stressAccuracy(r, "noise/pytorch-bf16", bench.Prefill, 4e-4)...)
	return append(all, bench.Rows(samples)...)
}

func stressAccuracy(r *rand.Rand, engine, phase string, kl float64) []rows.Row {
	nll, div := make([]float64, 512), make([]float64, 512)
	for i := range nll {
		nll[i] = 3 + 3/math.Sqrt(float64(i+1)) + 0.2*r.NormFloat64()
		div[i] = kl * (1 + float64(i)/400) * math.Exp(0.3*r.NormFloat64())
	}
	row := func(name, unit string, v, lo, hi float64) rows.Row {
		return rows.Row{Engine: engine, Phase: phase, Name: name, Unit: unit, Value: v, Lo: lo, Hi: hi, N: 16320}
	}
	all := []rows.Row{
		row(validate.Perplexity, "1", 24.1, 23, 25), row(validate.PPLRatio, "1", 1+kl/2, 1+kl/4, 1+kl*1.3), row(validate.KLName(64, "mean"), "nats", kl, kl*0.9, kl*1.1),
		row(validate.KLName(64, "p99"), "nats", kl*9, kl*8, kl*10), row(validate.KLName(64, "max"), "nats", kl*90, kl*90, kl*90),
		row(validate.Top1Agreement, "1", 1-kl*8, 1-kl*9, 1-kl*7), row("top5_agreement", "1", 1-kl, 1-kl, 1-kl), row("logit_error_max", "1", kl*300, kl*300, kl*300), row("greedy_match", "tokens", 61, 61, 61),
		row("nll_by_position", "nats", 3.2, 3.2, 3.2), row("kl_by_position", "nats", kl, kl, kl),
	}
	all[len(all)-2].Samples, all[len(all)-1].Samples = nll, div
	return all
}

func stressCalibration() *Calibrated {
	c := &Calibrated{Table: &calib.Table{Method: "absmax", Samples: 64, Tokens: 4896, Ranges: map[string]calib.Range{}}, Near: 1,
		Curve: &calib.Curve{Method: "absmax", Every: 8, Samples: []int{8, 16, 32, 48, 64}, Amax: map[string][]float32{}}}
	for l := range 12 {
		for k, part := range []string{"ln_1/LayerNormalization", "attn/MatMul_1", "ln_2/LayerNormalization", "mlp/act/Mul_3"} {
			name := fmt.Sprintf("/transformer/h.%d/%s_output_0", l, part)
			a := float32(3 + l + 7*k)
			c.Table.Ranges[name] = calib.Range{Lo: -a, Hi: a * 0.9, Amax: a}
			c.Curve.Amax[name] = []float32{a * 0.8, a * 0.9, a * 0.97, a, a}
			c.Outliers = append(c.Outliers, calib.Outlier{Tensor: name, Lo: -a, Hi: a, Amax: a, Deviation: 1, Kurtosis: 4, Dominant: []calib.Dominant{{Channel: 138, Absmax: a, Ratio: float64(2 + l)}}})
		}
	}
	return c
}

func stressDecisions() []Quantized {
	d := &quant.Decisions{Precision: quant.INT8}
	for l := range 12 {
		for k, role := range []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2} {
			kl := rows.Number(1e-6 * float64(1+k*k) * math.Exp(0.3*float64(l%5)))
			c := quant.Choice{Sensitivity: &quant.Sensitivity{KL: kl, KLLo: kl * 0.8, KLHi: kl * 1.3, PPLRatio: 1 + kl}}
			c.Node, c.Role, c.Layer, c.Quantized, c.Reason = fmt.Sprintf("/transformer/h.%d/%s/MatMul", l, role), role, l, l != 11, "the policy takes "+string(role)
			if l == 11 {
				c.Reason = "the last layer costs more than the gate leaves"
			}
			d.Decisions = append(d.Decisions, c)
		}
	}
	return []Quantized{{Engine: "ortcpu-int8", Decisions: d}, {Engine: "ortcuda-int8", Decisions: d}}
}

// scaling writes nine results directories, a model each, with the rates of the
// study that trtforge answers, and reads them back as one.
func scaling(t *testing.T) Data {
	t.Helper()
	var dirs []string
	for _, m := range []struct {
		name       string
		parameters float64
		cpu, torch float64
	}{{"tiny-gpt2", 0.103, 87996, 4011}, {"gpt2-5m", 5.04, 7554, 1484}, {"gpt2-11m", 11.18, 11762, 2651}, {"gpt2-25m", 25.02, 6803, 4319}, {"gpt2-45m", 45.17, 4182, 2937},
		{"gpt2-50m", 51.48, 2173, 1722}, {"gpt2-75m", 74.82, 2019, 2812}, {"gpt2-100m", 96.09, 1547, 1804}, {"gpt2", 124.44, 1434, 2121}} {
		d := Data{Title: "scaling", CreatedBy: "trtforge 1.0.0", Runs: []Run{{Model: Model{Name: m.name, Parameters: int64(m.parameters * 1e6)}, Machine: sample().Runs[0].Machine}},
			Scenarios: []profiles.Scenario{{Name: "short", Batch: 1, PromptTokens: 11, NewTokens: 8, Weight: 1}}, Limits: map[string]gate.Limits{"fp32": {"ppl_ratio_max": 1.01}}}
		for _, e := range []struct {
			name, backend string
			rate          float64
		}{{"ortcpu-fp32", "ortcpu", m.cpu}, {"pytorch-fp32", "pytorch", m.torch}} {
			d.Engines = append(d.Engines, Engine{Name: e.name, Manifest: engine.Manifest{Backend: e.backend, Precision: engine.FP32, Key: m.name + e.name}})
			d.Rows = append(d.Rows, rows.Row{Engine: e.name, Scenario: "short", Phase: bench.Prefill, Name: bench.PrefillRate, Unit: "tok/s", Value: e.rate, Lo: e.rate * 0.97, Hi: e.rate * 1.03, N: 5},
				rows.Row{Engine: e.name, Scenario: "short", Name: bench.E2E, Unit: "ms", Value: 1e5 / e.rate, Lo: 0.97e5 / e.rate, Hi: 1.03e5 / e.rate, N: 5},
				rows.Row{Engine: e.name, Phase: bench.Decode, Name: validate.PPLRatio, Unit: "1", Value: 1, Lo: 1, Hi: 1, N: 500},
				rows.Row{Engine: e.name, Phase: bench.Prefill, Name: validate.PPLRatio, Unit: "1", Value: 1, Lo: 1, Hi: 1, N: 500})
		}
		d.Judge()
		dir := t.TempDir() + "/" + m.name
		if err := writeTo(dir, d); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	d, err := Read(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return *d
}
