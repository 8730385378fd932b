package pipeline

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// formats are where docs/formats.md's examples lie.
var formats = filepath.Join("..", "docs", "formats")

const author = "trtforge 1.0.0"

// a format is a file form as a user of its room sees it.
type format struct {
	file  string                                            // below docs/formats
	write func(dir string) error                            // writes file into dir
	read  func(path string) (again func() error, err error) // reads it; again writes it to the same path
}

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

// plainly is the reader of a file that nothing reads back but people and
// scripts: every field must be known.
func plainly(path string, v any) (func() error, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return func() error { return fsx.WriteJSON(path, v) }, d.Decode(v)
}

func allFormats() []format {
	join := filepath.Join
	return []format{
		{"report.json",
			func(dir string) error {
				d, err := sampleReport()
				if err != nil {
					return err
				}
				return fsx.WriteJSON(join(dir, report.File), d)
			},
			func(path string) (func() error, error) {
				f, err := os.Open(path)
				if err != nil {
					return nil, err
				}
				defer func() { _ = f.Close() }()
				d, err := report.Parse(f, path)
				return func() error { return fsx.WriteJSON(path, d) }, err
			}},
		{"contract.json",
			func(dir string) error { return sampleContract().Save(join(dir, contractFile)) },
			func(path string) (func() error, error) {
				c, err := contract.Load(path)
				return func() error { return c.Save(path) }, err
			}},
		{"plan.json",
			func(dir string) error {
				p, err := samplePlan()
				if err != nil {
					return err
				}
				return p.Save(join(dir, planFile))
			},
			func(path string) (func() error, error) {
				p, err := profiles.Load(path)
				return func() error { return p.Save(path) }, err
			}},
		{"table.json",
			func(dir string) error {
				t := &calib.Table{Kind: "table", SchemaVersion: calib.SchemaVersion, CreatedBy: author, Model: strings.Repeat("45", 32), Text: strings.Repeat("90", 32),
					Method: "absmax", Samples: 64, Tokens: 4896, Ranges: map[string]calib.Range{"/h.0/ln_1/LayerNormalization_output_0": {Lo: -4.125, Hi: 3.5, Amax: 4.125}}}
				return t.WriteFile(join(dir, tableFile))
			},
			func(path string) (func() error, error) {
				t, err := calib.ReadFile(path)
				return func() error { return t.WriteFile(path) }, err
			}},
		{"observations.json",
			func(dir string) error {
				o, err := sampleObservations()
				if err != nil {
					return err
				}
				return o.WriteFile(join(dir, "observations.json"))
			},
			func(path string) (func() error, error) {
				o, err := calib.ReadObservationsFile(path)
				return func() error { return o.WriteFile(path) }, err
			}},
		{"manifest.json",
			func(dir string) error {
				m, err := sampleManifest()
				if err != nil {
					return err
				}
				return fsx.WriteJSON(join(dir, manifestFile), m)
			},
			func(path string) (func() error, error) {
				m, err := engine.LoadManifest(path)
				return func() error { return fsx.WriteJSON(path, m) }, err
			}},
		{"rows.jsonl",
			func(dir string) error { return rows.WriteFile(join(dir, rowsFile), author, sampleRows()) },
			func(path string) (func() error, error) {
				r, err := rows.ReadFile(path)
				return func() error { return rows.WriteFile(path, author, r) }, err
			}},
		{"bundle/bundle.json",
			func(dir string) error { return sampleBundle(join(dir, "bundle")) },
			func(path string) (func() error, error) {
				b, err := validate.Read(filepath.Dir(path))
				if err != nil {
					return nil, err
				}
				return func() error { return fsx.WriteJSON(path, b.Header) }, b.Close()
			}},
		{"decisions.json",
			func(dir string) error { return sampleDecisions().WriteFile(join(dir, quant.DecisionsFile)) },
			func(path string) (func() error, error) {
				d, err := quant.ReadDecisionsFile(path)
				return func() error { return d.WriteFile(path) }, err
			}},
		{"stage.json",
			func(dir string) error {
				in := map[string]string{"revision": "1", "strategy": "phase", "export/contract.json": strings.Repeat("2b", 32)}
				return fsx.WriteJSON(join(dir, sidecarName), sidecar{Kind: "stage", SchemaVersion: 1, CreatedBy: author, Stage: "profiles", Key: (&stage{name: "profiles"}).key(in), Inputs: in,
					Outputs: map[string]string{planFile: strings.Repeat("f0", 32)}, ElapsedMS: 1.25})
			},
			func(path string) (func() error, error) { return plainly(path, &sidecar{}) }},
		{"summary.json",
			func(dir string) error { return fsx.WriteJSON(join(dir, "summary.json"), sampleSummary()) },
			func(path string) (func() error, error) { return plainly(path, &Result{}) }},
	}
}

// TestFormats holds the examples of docs/formats.md to what is really written,
// and reads them back.
func TestFormats(t *testing.T) {
	for _, f := range allFormats() {
		t.Run(f.file, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := f.write(dir); err != nil {
				t.Fatal(err)
			}
			if *golden.Update {
				publish(t, dir)
			}
			path := filepath.Join(dir, filepath.FromSlash(f.file))
			example := readFile(t, filepath.Join(formats, filepath.FromSlash(f.file)))
			if diff := cmp.Diff(example, readFile(t, path)); diff != "" {
				t.Errorf("what is written (-golden +written):\n%s", diff)
			}
			again, err := f.read(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := again(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(example, readFile(t, path)); diff != "" {
				t.Errorf("read and written again (-golden +written):\n%s", diff)
			}
		})
	}
}

// publish makes the files below dir the golden ones.
func publish(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(formats, name)
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, []byte(readFile(t, path)), 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exchanged are the files that one program writes and another reads, with their
// versions.
var exchanged = map[string]int{"contract.json": contract.SchemaVersion, "plan.json": profiles.SchemaVersion, "table.json": 1, "observations.json": 1, "manifest.json": 1, "rows.jsonl": 1, "bundle/bundle.json": 1}

func TestNewerVersionsAreRefused(t *testing.T) {
	for _, f := range allFormats() {
		version := exchanged[f.file]
		if version == 0 {
			continue
		}
		path := variant(t, f, fmt.Sprintf(`"schema_version": %d`, version), fmt.Sprintf(`"schema_version": %d`, version+1))
		if _, err := f.read(path); fault.Exit(err) != 4 {
			t.Errorf("%s of a newer version: %v, want exit status 4", f.file, err)
		}
		path = variant(t, f, `"kind": "`, `"kind": "x`)
		if _, err := f.read(path); fault.Exit(err) != 4 {
			t.Errorf("%s of another kind: %v, want exit status 4", f.file, err)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	for _, f := range allFormats() {
		if exchanged[f.file] == 0 {
			continue
		}
		path := variant(t, f, `"created_by"`, `"from_the_future": [1, {"a": null}], "created_by"`)
		again, err := f.read(path)
		if err != nil {
			t.Errorf("%s: %v", f.file, err)
			continue
		}
		if err := again(); err != nil {
			t.Errorf("%s: %v", f.file, err)
			continue
		}
		text := strings.Join(strings.Fields(readFile(t, path)), "")
		if !strings.Contains(text, `"from_the_future":[1,{"a":null}]`) {
			t.Errorf("%s: an unknown field was lost", f.file)
		}
	}
}

// variant is a copy of a golden file, and of what lies beside it, in which every
// from is to.
func variant(t *testing.T, f format, from, to string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(formats)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.FromSlash(f.file))
	text := readFile(t, path)
	if strings.HasSuffix(f.file, ".jsonl") { // one line a row leaves no room for spaces
		from, to = strings.ReplaceAll(from, `": `, `":`), strings.ReplaceAll(to, `": `, `":`)
	}
	if !strings.Contains(text, from) {
		t.Fatalf("%s has no %s", f.file, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPipelineFormat reads the commented pipeline, which `trtforge run --help`
// shows, beside the files that it names.
func TestPipelineFormat(t *testing.T) {
	text := readFile(t, filepath.Join("..", "cmd", "trtforge", "pipeline.toml"))
	golden.Check(t, filepath.Join(formats, "pipeline.toml"), text) // it is also the example of --help
	dir := t.TempDir()
	for name, content := range map[string]string{"pipeline.toml": text, "calibrate.txt": "", "evaluate.txt": "", "held-out.txt": "", "model/config.json": "{}", "reference/bundle.json": "{}", "requests.jsonl": ""} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "pipeline.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Engines) != 2 || len(c.Workload.Scenarios) != 1 || c.Gates["int8"]["ppl_ratio_max"] != 1.1 || c.Run.Precision() != 0.02 || *c.Run.Warmup != 3 || c.Output.Dir != filepath.Join(dir, "build") {
		t.Errorf("read %+v", c)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
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
