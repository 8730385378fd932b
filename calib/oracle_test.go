package calib

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// python runs a graph in ONNX Runtime and remembers all raw values.
type python struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func (p *python) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	type tensor struct {
		Name  string  `json:"name"`
		Type  string  `json:"type"`
		Dims  []int64 `json:"dims"`
		Bytes int     `json:"bytes"`
	}
	var heads []tensor
	var data []byte
	for _, f := range feeds {
		heads = append(heads, tensor{f.Name, f.Type.String(), f.Dims, len(f.Bytes)})
		data = append(data, f.Bytes...)
	}
	b, err := json.Marshal(map[string]any{"feeds": heads, "fetch": fetch})
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(append(b, '\n'), data...)); err != nil {
		return nil, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer []tensor
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, err
	}
	var all []onnx.Tensor
	for _, a := range answer {
		raw := make([]byte, a.Bytes)
		if _, err := io.ReadFull(p.out, raw); err != nil {
			return nil, err
		}
		all = append(all, onnx.Tensor{Name: a.Name, Type: onnx.Float32, Dims: a.Dims, Bytes: raw})
	}
	return all, nil
}

// numpy is what testdata/thresholds.py says of a tensor.
type numpy struct {
	Lo, Hi                     float64
	Zeros, Count               int64
	Below, Above               []float64
	Mean, M2, M3, M4, Kurtosis float64
	MSE, Entropy               float64
	Runs                       [][]int64
	ChannelLo                  []float64 `json:"channel_lo"`
	ChannelHi                  []float64 `json:"channel_hi"`
	ChannelRMS                 []float64 `json:"channel_rms"`
	ChannelMean                []float64 `json:"channel_mean"`
}

// raw calibrates through ONNX Runtime, which keeps every raw activation and lets
// numpy reduce them.
func raw(t *testing.T, m *onnx.Model, job Job) (*Observations, map[string]numpy) {
	t.Helper()
	interpreter := testenv.Python(t, "oracle")
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := Cut(m, job.Observe)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	graph, result := filepath.Join(dir, "cut.onnx"), filepath.Join(dir, "numpy.json")
	if err := onnx.Save(cut, graph, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, filepath.Join("testdata", "runner.py"), graph, result)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen, collectErr := Collect(context.Background(), &python{in: in, out: bufio.NewReader(out)}, c, job, progress.Noop)
	if err := errors.Join(collectErr, in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var judged map[string]numpy
	if err := json.Unmarshal(b, &judged); err != nil {
		t.Fatal(err)
	}
	return seen, judged
}

// demo is the demo model and the tokens of its calibration text.
func demo(t *testing.T) (*onnx.Model, []int64) {
	t.Helper()
	dir := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	tokenizer, err := bpe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(testenv.DemoText(t, "calibrate")))
	if err != nil {
		t.Fatal(err)
	}
	wide := make([]int64, len(ids))
	for i, id := range ids {
		wide[i] = int64(id)
	}
	return m, wide
}

// TestCollectIsNumpyOnRawActivations calibrates the demo model: extremes exactly,
// percentiles within a bin, thresholds within one percent, and the shapes are
// those of prefill and of real cached decode.
func TestCollectIsNumpyOnRawActivations(t *testing.T) {
	m, ids := demo(t)
	job := Job{IDs: ids, Observe: []string{"/h.0/ln_1/LayerNormalization_output_0", "/h.1/attn/Reshape_1_output_0", "/h.3/mlp/Gelu_output_0"}}
	samples := 12
	if os.Getenv("TRTFORGE_FULL") != "" {
		samples, job.Observe = 48, nil
		for l := range 4 {
			for _, name := range []string{"ln_1/LayerNormalization", "attn/Reshape_1", "ln_2/LayerNormalization", "mlp/Gelu"} {
				job.Observe = append(job.Observe, fmt.Sprintf("/h.%d/%s_output_0", l, name))
			}
		}
	}
	var err error
	if job.Plan, err = NewPlan(len(ids), PlanOptions{Samples: samples, Prefill: []int{48, 96}, Decode: 3, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	seen, judged := raw(t, m, job)
	runs := judged["present.0.key"].Runs
	if len(runs) != 4*len(job.Plan.Batches()) || runs[0][0] != 4 || runs[0][2] != int64(job.Plan.Samples[0].Prefill) || runs[3][2] != runs[0][2]+3 {
		t.Errorf("the cache's shapes were %v", runs)
	}
	if seen.Samples != samples || seen.Tokens != int64(samples)*75 {
		t.Errorf("%d samples of %d tokens", seen.Samples, seen.Tokens)
	}
	worst := map[string]float64{}
	for _, name := range job.Observe {
		for what, by := range compare(t, name, seen, judged[name]) {
			worst[what] = max(worst[what], by)
		}
	}
	t.Logf("largest deviations: %v", worst)
}

// compare compares what was seen of a tensor with numpy and returns by how much
// they differ.
func compare(t *testing.T, name string, seen *Observations, want numpy) map[string]float64 {
	t.Helper()
	o := seen.Tensors[name]
	if float64(o.Min) != want.Lo || float64(o.Max) != want.Hi || float64(o.Amax()) != max(-want.Lo, want.Hi) || o.Zeros != want.Zeros || o.Count != want.Count {
		t.Errorf("%s: %+v, numpy %+v", name, o.Histogram, want)
	}
	worst := map[string]float64{}
	bin := math.Ldexp(1, o.Exp) / Bins
	for i, p := range []float64{50, 99, 99.9, 99.99} {
		q := float64(o.Quantile(p / 100))
		if by := max(0, want.Below[i]-q, q-want.Above[i]) / bin; by > 1 {
			t.Errorf("%s: percentile %g is %v, numpy %v to %v, bin %v", name, p, q, want.Below[i], want.Above[i], bin)
		} else {
			worst["percentile in bins"] = max(worst["percentile in bins"], by)
		}
	}
	near := func(what string, got, want, tolerance float64) {
		by := math.Abs(got/want - 1)
		if worst[what] = max(worst[what], by); by > tolerance {
			t.Errorf("%s: %s is %v, numpy %v", name, what, got, want)
		}
	}
	near("mean", o.Moments.Mean, want.Mean, 1e-8)
	near("m2", o.Moments.M2, want.M2, 1e-11)
	near("m3", o.Moments.M3, want.M3, 1e-8)
	near("m4", o.Moments.M4, want.M4, 1e-11)
	near("kurtosis", o.Kurtosis(), want.Kurtosis, 1e-11)
	channels := o.Channels.table()
	for i := range want.ChannelLo {
		if float64(channels.Lo[i]) != want.ChannelLo[i] || float64(channels.Hi[i]) != want.ChannelHi[i] {
			t.Fatalf("%s: channel %d is %v to %v, numpy %v to %v", name, i, channels.Lo[i], channels.Hi[i], want.ChannelLo[i], want.ChannelHi[i])
		}
		near("channel rms", float64(channels.RMS[i]), want.ChannelRMS[i], 1e-6)
		if by := math.Abs(float64(channels.Mean[i])-want.ChannelMean[i]) / want.ChannelRMS[i]; by > 1e-6 {
			t.Errorf("%s: the mean of channel %d is %v, numpy %v", name, i, channels.Mean[i], want.ChannelMean[i])
		}
	}
	for _, method := range []struct {
		Method
		want float64
	}{{MSE(), want.MSE}, {Entropy(), want.Entropy}} {
		amax, err := method.Amax(&o.Histogram)
		if err != nil {
			t.Fatal(err)
		}
		near(method.String(), float64(amax), method.want, 0.01)
	}
	return worst
}
