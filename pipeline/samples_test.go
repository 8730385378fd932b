package pipeline

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// plan is a small one; its contract is that of a two-layer GPT-2.
func samplePlan() (*profiles.Plan, error) {
	return profiles.Derive(sampleContract(), profiles.Workload{Mode: "cached", Scenarios: []profiles.Scenario{
		{Name: "chat", Batch: 1, PromptTokens: 6, NewTokens: 3, Weight: 1},
	}}, profiles.Options{Strategy: "phase", CreatedBy: author})
}

func sampleContract() *contract.Contract {
	dims := func(d ...contract.Dim) []contract.Dim { return d }
	batch, seq := contract.Dim{Role: contract.Batch, Symbol: "batch_size", Source: contract.FromGraph}, contract.Dim{Role: contract.Seq, Symbol: "sequence_length", Source: contract.FromGraph}
	past := contract.Dim{Role: contract.Past, Symbol: "past_sequence_length", Source: contract.FromGraph}
	total := contract.Dim{Role: contract.Total, Symbol: "past_sequence_length + sequence_length", Source: contract.FromName}
	heads, width := contract.Dim{Role: contract.Static, Size: 2}, contract.Dim{Role: contract.Static, Size: 16}
	vocab := contract.Dim{Role: contract.Static, Size: 128}
	return &contract.Contract{
		Kind: "contract", SchemaVersion: contract.SchemaVersion, CreatedBy: author,
		Inputs: []contract.Tensor{
			{Name: "input_ids", Kind: contract.KindIDs, Type: "int64", Dims: dims(batch, seq)},
			{Name: "attention_mask", Kind: contract.KindMask, Type: "int64", Dims: dims(batch, total)},
			{Name: "position_ids", Kind: contract.KindPositions, Type: "int64", Dims: dims(batch, seq)},
			{Name: "past_key_values.0.key", Kind: contract.KindPastKey, Type: "float", Dims: dims(batch, heads, past, width)},
			{Name: "past_key_values.0.value", Kind: contract.KindPastValue, Type: "float", Dims: dims(batch, heads, past, width)},
		},
		Outputs: []contract.Tensor{
			{Name: "logits", Kind: contract.KindLogits, Type: "float", Dims: dims(batch, seq, vocab)},
			{Name: "present.0.key", Kind: contract.KindPresentKey, Type: "float", Dims: dims(batch, heads, total, width)},
			{Name: "present.0.value", Kind: contract.KindPresentValue, Type: "float", Dims: dims(batch, heads, total, width)},
		},
		Layers: 1, Heads: 2, HeadDim: 16, Vocab: 128, MaxPositions: 64, Logits: "all",
	}
}

func sampleManifest() (*engine.Manifest, error) {
	p, err := samplePlan()
	if err != nil {
		return nil, err
	}
	return &engine.Manifest{
		Kind: "manifest", SchemaVersion: engine.SchemaVersion, CreatedBy: author, Key: strings.Repeat("c8", 32),
		Backend: "rtx", Precision: engine.INT8, Achieved: engine.INT8, Target: "sm89", ModelDigest: strings.Repeat("a2", 32),
		Builder: "tensorrt-rtx 1.7.1.116", File: "engine.plan", Account: "layers.txt", Bytes: 5120, FileDigest: strings.Repeat("ce", 32),
		Profiles: p.Profiles, Layers: map[string]int{"gemm int8": 8, "gemm fp16": 9, "softmax fp32": 4},
		Memory: &engine.Memory{WeightsBytes: 4096, Profiles: []engine.ProfileMemory{
			{Profile: "prefill", ActivationBytes: 2048, ScratchBytes: 1536, HostBytes: 80}, {Profile: "decode", ActivationBytes: 512, ScratchBytes: 256, HostBytes: 80},
		}},
		Measured: engine.Measured{BuildMS: 1840.5, PeakBytes: 901 << 20, Phases: []engine.Phase{{Name: "build", MS: 1700}}},
		Licence:  "for evaluation only", Warnings: []string{"a doubt in words"},
	}, nil
}

func sampleRows() []rows.Row {
	return []rows.Row{
		rows.Exact("ortcpu-int8", "engine_bytes", "bytes", 11919738),
		{Engine: "ortcpu-int8", Phase: "prefill", Name: "ppl_ratio", Unit: "1", Value: 1.0002, Lo: 0.9998, Hi: 1.0006, N: 5110, Warnings: []string{"intervals come from 10 windows only"}},
		{Engine: "ortcpu-int8", Scenario: "chat", Phase: "decode", Name: "tpot", Unit: "ms", Value: 1.5, Lo: 1.25, Hi: math.Inf(1), N: 3, Samples: []float64{1.25, 1.5, math.NaN()}},
	}
}

func sampleSummary() *Result {
	const idleWhy = "a TensorRT-RTX plan runs on an RTX GPU only"
	judged := gate.Verdict{Engine: "ortcpu-int8", Precision: "int8", Gate: "ppl_ratio_max", Phase: "prefill", Status: gate.Pass, Limit: 1.1, Value: 1.0002, Lo: 0.9998, Hi: 1.0006, Evidence: "perplexity over PyTorch FP32's: 1.0002, asked at most 1.1"}
	idle := gate.Verdict{Engine: "rtx-int8", Precision: "int8", Gate: "speedup_min", Status: gate.NotEvaluated, Limit: 1, Reason: idleWhy}
	return &Result{
		Kind: "summary", SchemaVersion: 1, CreatedBy: author, Name: "demo", Model: strings.Repeat("27", 32),
		Plan: PlanSummary{Strategy: "phase", Profiles: 2, Shapes: 3}, Reference: 106.25,
		Engines: []EngineResult{
			{Name: "ortcpu-int8", Backend: "ortcpu", Precision: engine.INT8, Achieved: engine.INT8, Accuracy: map[string]Accuracy{
				"prefill": {Perplexity: 106.27, Ratio: 1.0002, KL: 2.4e-5, Top1: 0.996},
				"decode":  {Perplexity: math.Inf(1), Ratio: math.Inf(1), KL: math.NaN(), Top1: 0},
			}},
			{Name: "rtx-int8", Backend: "rtx", Precision: engine.INT8, Achieved: engine.INT8, Profiles: 2, Idle: idleWhy},
		},
		Verdicts: []gate.Verdict{judged},
		Measured: Measured{Engines: map[string]Timing{
			"ortcpu-int8": {BuildMS: 52.2, Bytes: 11919738, Digest: strings.Repeat("ce", 32), TTFT: 3.5, TPOT: 1.5},
			"rtx-int8":    {BuildMS: 1840.5, Bytes: 5120, Digest: strings.Repeat("5e", 32)},
		}, Verdicts: []gate.Verdict{idle}},
	}
}

func sampleReport() (report.Data, error) {
	m, err := sampleManifest()
	if err != nil {
		return report.Data{}, err
	}
	base := *m
	base.Precision, base.Achieved, base.Key, base.Backend, base.Target = engine.FP32, engine.FP32, strings.Repeat("7d", 32), "rtx", ""
	d := report.Data{
		CreatedBy: author, Title: "demo", Created: "2026-11-03 14:05 UTC",
		Runs: []report.Run{{
			Command: "trtforge run demo/pipeline.toml", Author: author, Model: report.Model{Name: "gpt2", Digest: strings.Repeat("27", 32), Parameters: 124439808},
			Machine:  &bench.Machine{Kind: "machine", SchemaVersion: 1, CreatedBy: author, CPU: "AMD EPYC 9B14", Cores: 2, Threads: 2, OS: "linux/amd64"},
			Versions: []report.Fact{{Name: "ort", Value: "1.32.0"}}, Inputs: []report.Fact{{Name: "seed", Value: "1"}}, Files: map[string]string{"rows.jsonl": strings.Repeat("0a", 32)},
		}},
		Scenarios: []profiles.Scenario{{Name: "chat", Batch: 1, PromptTokens: 6, NewTokens: 3, Weight: 1}},
		Engines:   []report.Engine{{Name: "rtx-fp32", Manifest: base}, {Name: "rtx-int8", Manifest: *m}},
		Limits:    map[string]gate.Limits{"fp32": {"ppl_ratio_max": 1.01}, "int8": {"ppl_ratio_max": 1.1, "speedup_min": 1}},
	}
	for i, e := range []string{"rtx-fp32", "rtx-int8"} {
		for _, phase := range []string{"prefill", "decode"} {
			d.Rows = append(d.Rows, rows.Row{Engine: e, Phase: phase, Name: "ppl_ratio", Unit: "1", Value: 1.0002, Lo: 0.9998, Hi: 1.0006, N: 5110})
		}
		v := float64(8 - 4*i)
		d.Rows = append(d.Rows, rows.Row{Engine: e, Scenario: "chat", Name: "e2e", Unit: "ms", Value: v, Lo: v * 0.99, Hi: v * 1.01, N: 20})
	}
	d.Judge()
	return d, nil
}

func sampleObservations() (*calib.Observations, error) {
	const ln, scores = "/h.0/ln_1/LayerNormalization_output_0", "/h.0/attn/Softmax_output_0"
	o := calib.NewObservations([]string{ln, scores})
	o.CreatedBy, o.Model, o.Text, o.Plan = author, strings.Repeat("45", 32), strings.Repeat("90", 32), strings.Repeat("e1", 32)
	o.Of, o.Parts, o.Batches, o.Done, o.Samples, o.Tokens = 4, []int{1}, 6, 1, 4, 68
	o.Curve = &calib.Curve{Method: "absmax", Every: 1, Samples: []int{4}, Amax: map[string][]float32{ln: {4.125}, scores: {0.75}}}
	tensor := func(name string, dims []int64, values ...float32) onnx.Tensor {
		b, _ := binary.Append(nil, binary.LittleEndian, values)
		return onnx.Tensor{Name: name, Type: onnx.Float32, Dims: dims, Bytes: b}
	}
	return o, errors.Join(
		o.Observe([]onnx.Tensor{tensor(ln, []int64{1, 2, 3}, -4.125, 0, 0.5, 3.5, 0.25, -0.5), tensor(scores, []int64{1, 1, 1, 1}, 0.25)}),
		o.Observe([]onnx.Tensor{tensor(scores, []int64{1, 1, 1, 2}, 0.25, 0.75)}),
	)
}

func sampleBundle(dir string) error {
	h := validate.Header{
		CreatedBy: author, Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 3}, Tokens: 4, Windows: 1, Rows: 2, Vocab: 4, TopK: 2,
		Digests:  validate.Digests{Model: strings.Repeat("3b", 32), Text: strings.Repeat("b2", 32), Tokenizer: strings.Repeat("57", 32), IDs: strings.Repeat("ac", 32)},
		Settings: map[string]string{"dtype": "float32", "attention": "eager"}, Versions: map[string]string{"torch": "2.15.0"},
	}
	half := float32(math.Log(0.5))
	row := validate.Row{NLL: -half, LSE: 1, Tail: 0.25, IDs: []uint32{3, 1}, LogProbs: []float32{half, 2 * half}}
	return validate.Write(dir, h, func() (validate.Row, error) { return row, nil })
}

// sampleDecisions is a list with a product of each fate, as quantize --sensitivity
// --parts writes it.
func sampleDecisions() *quant.Decisions {
	lo, hi := float32(-4.125), float32(3.5)
	return &quant.Decisions{Kind: "decisions", SchemaVersion: quant.DecisionsVersion, CreatedBy: author, Model: strings.Repeat("45", 32), Table: strings.Repeat("7c", 32),
		Precision: quant.INT8FP16, Smooth: "off", IO: []string{"kv=fp32"}, Decisions: []quant.Choice{
			{Decision: quant.Decision{Node: "/h.0/attn/c_attn/MatMul", Role: "qkv", Quantized: true, Reason: "the policy takes qkv", Activation: "/h.0/ln_1/LayerNormalization_output_0", Amax: 4.125, Weight: "transformer.h.0.attn.c_attn.weight", Axis: 1},
				Lo: &lo, Hi: &hi, WeightBytes: 197376, FloatBytes: 393216,
				Sensitivity: &quant.Sensitivity{KL: 8.9e-06, KLLo: 7.1e-06, KLHi: 1.07e-05, PPLRatio: 0.99974, Activation: 7e-06, Weight: 1.4e-06}},
			{Decision: quant.Decision{Node: "/lm_head/MatMul", Role: "lm_head", Layer: -1, Reason: "the policy leaves lm_head in high precision", Activation: "/ln_f/LayerNormalization_output_0", Weight: "transformer.wte.weight"},
				WeightBytes: 1048576, FloatBytes: 1048576},
		}}
}
