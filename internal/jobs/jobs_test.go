//go:build cgo

package jobs

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/native"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/half"
	"github.com/trtforge/trtforge/validate"
)

// TestMain lets the test binary be the ONNX Runtime child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		native.Use() // as the command does
		all := All()
		all["run"] = serveRun
		os.Exit(ort.Serve(all))
	}
	os.Exit(m.Run())
}

func client(t *testing.T) *ort.Client {
	t.Helper()
	c := &ort.Client{Library: testenv.ORT(t), Log: t.Output()}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// shape is the random GPT-2 of these tests.
var shape = export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 61, Positions: 32, Std: 0.3}

// gpt2 is a random GPT-2 as a graph.
func gpt2(t *testing.T, logits export.Logits) *onnx.Model {
	t.Helper()
	return exported(t, export.Options{Logits: logits})
}

func exported(t *testing.T, o export.Options) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, shape, 7); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// saved writes a graph and describes it.
func saved(t *testing.T, m *onnx.Model) Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	return Model{Path: path, Contract: c}
}

func text(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = (i*i*7 + 3*i + 5) % int(shape.Vocab)
	}
	return ids
}

// plainNLL scores ids by one run of the whole graph without a decoder: what the
// job must agree with.
func plainNLL(t *testing.T, c Caller, m Model, ids []int) []float64 {
	t.Helper()
	var feeds []onnx.Tensor
	for _, in := range m.Contract.Inputs {
		typ := map[string]onnx.DType{"int64": onnx.Int64, "float": onnx.Float32, "float16": onnx.Float16}[in.Type]
		f := onnx.Tensor{Name: in.Name, Type: typ, Dims: m.Contract.Shape(in, 1, int64(len(ids)), 0)}
		for i, id := range ids {
			v := map[contract.Kind]int{contract.KindIDs: id, contract.KindMask: 1, contract.KindPositions: i}[in.Kind]
			if typ == onnx.Int64 {
				f.Bytes = binary.LittleEndian.AppendUint64(f.Bytes, uint64(v))
			}
		}
		feeds = append(feeds, f)
	}
	logits, err := runOnce(t, c, runRequest{Model: m, Fetch: []string{"logits"}}, feeds)[0].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	var nll []float64
	for i := range len(ids) - 1 {
		row := logits[i*int(shape.Vocab):][:shape.Vocab]
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		nll = append(nll, math.Log(sum)-float64(row[ids[i+1]]))
	}
	return nll
}

func TestScoreAgreesWithPlainRuns(t *testing.T) {
	c := client(t)
	m := saved(t, gpt2(t, export.All))
	ids := text(5*16 + 7)
	want := validate.Sums{Windows: make(validate.Floats, 5), Positions: make(validate.Floats, 15)}
	for w := range 5 {
		for i, v := range plainNLL(t, c, m, ids[16*w:16*w+16]) {
			want.Windows[w] += v
			want.Positions[i] += v
		}
	}
	for _, r := range []ScoreRequest{{Phase: Prefill}, {Phase: Decode}, {Phase: Decode, Prompt: 6, Batch: 2}, {Phase: Prefill, Batch: 9}} {
		r.Model, r.IDs, r.Convention = m, ids, validate.Convention{Name: validate.HFNonOverlap, Length: 16}
		s, err := Score(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if s.Rows != 5*15 || s.NonFinite != 0 || s.Phase != r.Phase {
			t.Fatalf("%s: %d scored tokens, %d not finite", s.Phase, s.Rows, s.NonFinite)
		}
		if d := sumsApart(t, s.NLL, want); d > 1e-4 {
			t.Errorf("%s, batch %d, prompt %d: sums differ by %g from those of plain runs", r.Phase, r.Batch, r.Prompt, d)
		}
	}
}

// sumsApart is the largest difference between sums, of a window or of a position.
func sumsApart(t *testing.T, a, b validate.Sums) (most float64) {
	t.Helper()
	for _, pair := range [][2]validate.Floats{{a.Windows, b.Windows}, {a.Positions, b.Positions}} {
		if len(pair[0]) != len(pair[1]) || len(pair[0]) == 0 {
			t.Fatalf("%d sums, and %d", len(pair[0]), len(pair[1]))
		}
		for i, v := range pair[0] {
			most = max(most, math.Abs(v-pair[1][i]))
		}
	}
	return most
}

func TestScoreOfHalfPrecision(t *testing.T) {
	c := client(t)
	fp16, _, err := half.Convert(gpt2(t, export.All), half.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := ScoreRequest{Model: saved(t, fp16), IDs: text(64), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 16}, Phase: Prefill}
	whole, err := Score(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	r.Phase = Decode
	steps, err := Score(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(whole.MeanNLL() - steps.MeanNLL()); d > 2e-3 || whole.MeanNLL() < 0.1 {
		t.Errorf("with a cache of float16 the mean NLL is %g, without %g", steps.MeanNLL(), whole.MeanNLL())
	}
}

func TestScoreRefusals(t *testing.T) {
	c := client(t)
	last := saved(t, gpt2(t, export.Last))
	convention := validate.Convention{Name: validate.HFNonOverlap, Length: 16}
	for name, r := range map[string]ScoreRequest{
		"last logits only":     {Model: last, IDs: text(64), Convention: convention, Phase: Prefill},
		"token beyond vocab":   {Model: last, IDs: make([]int, 64), Convention: convention, Phase: Decode},
		"longer than model":    {Model: last, IDs: text(640), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 64}, Phase: Decode},
		"bundle does not exit": {Model: last, IDs: text(64), Convention: convention, Phase: Decode, Bundle: t.TempDir()},
	} {
		r.IDs[1] = 1
		if name == "token beyond vocab" {
			r.IDs[3] = 1000
		}
		if _, err := Score(t.Context(), c, r, progress.Noop); fault.Exit(err) != 4 {
			t.Errorf("%s: got %v, want an error of class input", name, err)
		}
	}
	// The last position is enough for decoding token by token.
	if _, err := Score(t.Context(), c, ScoreRequest{Model: last, IDs: text(64), Convention: convention, Phase: Decode}, progress.Noop); err != nil {
		t.Error(err)
	}
}

func scenario(name string, batch, prompt, fresh int) bench.Case {
	return bench.Case{Scenario: profiles.Scenario{Name: name, Batch: batch, PromptTokens: prompt, NewTokens: fresh}}
}

func TestBench(t *testing.T) {
	c := client(t)
	r := BenchRequest{Model: saved(t, gpt2(t, export.Last)), Engine: "cpu", Repetitions: 7, Round: 3, Warmup: bench.Warmup{Max: 5},
		Cases: []bench.Case{scenario("one", 1, 8, 1), scenario("four", 4, 11, 8), scenario("too long", 1, 30, 8)}}
	result, err := Bench(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Samples) != 15 || result.LoadMS <= 0 {
		t.Fatalf("%d samples, loaded in %g ms", len(result.Samples), result.LoadMS)
	}
	for _, s := range result.Samples[:14] {
		if s.Failure != nil || s.Engine != "cpu" || s.Round != 3 || s.TTFT <= 0 || s.E2E < s.TTFT || len(s.Gaps) != s.NewTokens-1 || s.PeakRSS < 1<<20 || s.Run <= 0 || s.Run >= s.E2E {
			t.Errorf("sample %+v", s)
		}
		sum := s.TTFT
		for _, g := range s.Gaps {
			sum += g
		}
		if math.Abs(sum-s.E2E) > 1e-6 {
			t.Errorf("first token and gaps take %g ms, the request %g", sum, s.E2E)
		}
	}
	if f := result.Samples[14].Failure; f == nil || !strings.Contains(f.Cause, "positions") {
		t.Errorf("a scenario longer than the model gave %+v", result.Samples[14])
	}
}

// Every way to run a request gives times, on an engine that stays open between
// turns.
func TestBenchInEveryMode(t *testing.T) {
	uncached, chunked, deep, ragged, trace := scenario("s", 2, 9, 4), scenario("s", 2, 9, 4), scenario("deep", 2, 5, 3), scenario("ragged", 3, 9, 4), scenario("trace", 1, 12, 5)
	uncached.Mode = bench.Uncached
	chunked.Mode, chunked.Chunk = bench.Chunked, 4
	deep.Depth, ragged.Ragged = 7, true
	trace.Requests = []bench.Request{{PromptTokens: 12, NewTokens: 5}, {PromptTokens: 3, NewTokens: 1}, {PromptTokens: 5, NewTokens: 2}}
	foreign := scenario("foreign", 1, 4, 2)
	for name, o := range map[string]export.Options{"concat": {Logits: export.Last}, "all logits": {}, "static": {Cache: export.Static, Capacity: 24}} {
		c := client(t)
		r := BenchRequest{Model: saved(t, exported(t, o)), Engine: "cpu", Repetitions: 3, Keep: true, Warmup: bench.Warmup{Max: 3}}
		for i, one := range []bench.Case{uncached, chunked, deep, ragged, trace} {
			r.Cases, r.First = []bench.Case{one}, i
			result, err := Bench(t.Context(), c, r, progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			if (result.LoadMS > 0) != (i == 0) || len(result.Samples) != 3 {
				t.Errorf("%s, %s: loaded in %g ms, %d samples", name, one.Key(), result.LoadMS, len(result.Samples))
			}
			for j, s := range result.Samples {
				if s.Failure != nil || s.TTFT <= 0 || s.Run <= 0 || s.Mode == "" {
					t.Errorf("%s, %s: %+v, %v", name, one.Key(), s, s.Failure)
				}
				if want := trace.Requests[(i+j)%3]; one.Name == "trace" && (s.PromptTokens != want.PromptTokens || s.NewTokens != want.NewTokens) {
					t.Errorf("%s: request %d has %d + %d tokens, want %v", name, j, s.PromptTokens, s.NewTokens, want)
				}
			}
		}
		r.Cases, r.Text = []bench.Case{foreign}, []int{1, 2, int(shape.Vocab)}
		result, err := Bench(t.Context(), c, r, progress.Noop)
		if err != nil || len(result.Samples) != 1 || result.Samples[0].Failure == nil || result.Samples[0].Failure.Class != bench.Vocabulary {
			t.Errorf("%s: tokens of another model gave %+v, %v", name, result, err)
		}
	}
}

// A model whose weights hold NaN answers NaN: its requests are failures, not times.
func TestBenchOfNaN(t *testing.T) {
	m := gpt2(t, export.All)
	w := m.Weight("transformer.ln_f.bias")
	if w == nil {
		t.Fatal("no weight transformer.ln_f.bias")
	}
	values := make([]float32, shape.Width)
	values[3] = float32(math.NaN())
	m.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
	r := BenchRequest{Model: saved(t, m), Engine: "cpu", Cases: []bench.Case{scenario("one", 1, 8, 4)}}
	result, err := Bench(t.Context(), client(t), r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Samples) != 1 || result.Samples[0].Failure == nil || result.Samples[0].Failure.Class != bench.NonFinite {
		t.Errorf("samples %+v", result.Samples)
	}
}

// calibrated runs a calibration of all that could be quantized.
func calibrated(t *testing.T, c Caller, m *onnx.Model) *calib.Observations {
	t.Helper()
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	var observe []string
	for _, x := range targets {
		observe = append(observe, x.Activation)
	}
	cut, err := calib.Cut(m, observe)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := calib.NewPlan(200, calib.PlanOptions{Samples: 4, Prefill: []int{8}, Decode: 3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := CalibrateRequest{Job: calib.Job{IDs: wide(text(200)), Plan: plan, Observe: observe}}
	r.Path = filepath.Join(t.TempDir(), "cut.onnx")
	if r.Contract, err = contract.Infer(m); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Save(cut, r.Path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	collector, err := Calibrate(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if collector.Samples != 4 || collector.Tokens != 4*11 || len(collector.Tensors) != len(observe) {
		t.Errorf("%d samples of %d tokens, %d tensors", collector.Samples, collector.Tokens, len(collector.Tensors))
	}
	for _, name := range observe {
		if h := collector.Tensors[name]; h == nil || h.Count != 4*11*shape.Width || h.Amax() <= 0 {
			t.Errorf("%s was seen as %+v", name, h)
		}
	}
	return collector
}

func TestCalibrate(t *testing.T) { calibrated(t, client(t), gpt2(t, export.All)) }

func TestAModelThatIsNotThere(t *testing.T) {
	m := saved(t, gpt2(t, export.All))
	m.Path = filepath.Join(t.TempDir(), "absent.onnx")
	r := ScoreRequest{Model: m, IDs: text(40), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 16}, Phase: Prefill}
	if _, err := Score(t.Context(), client(t), r, progress.Noop); fault.Exit(err) != 4 {
		t.Errorf("a model that is not there: %v", err)
	}
}
