package quant

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// loaded is the export of a checkpoint, and files of its tokenizer's ids of texts.
func loaded(t *testing.T, checkpoint string, texts map[string][]byte) (*onnx.Model, map[string]string) {
	t.Helper()
	tokens, err := bpe.Load(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	dir, files := t.TempDir(), map[string]string{}
	for name, text := range texts {
		ids, err := tokens.Encode(string(text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return quanttest.Opened(t)(export.GPT2(checkpoint, export.Options{})), files
}

// lab compares quantized graphs of one model: the same calibration samples, the
// same evaluation text, one evaluator.
type lab struct {
	dir, calibrate, evaluate string
	samples, length          int // of the calibration
	window, most             int // of the evaluation: tokens, windows
	reference                string
	names                    []string
	graphs                   []string
}

func newLab(t *testing.T, m *onnx.Model, files map[string]string) *lab {
	l := &lab{dir: t.TempDir(), calibrate: files["calibrate"], evaluate: files["evaluate"], samples: 32, length: 128, window: 256, most: 64}
	l.reference = quanttest.Saved(t, m, l.dir, "reference")
	return l
}

func (l *lab) sample() sample { return sample{l.calibrate, itoa(l.samples), itoa(l.length)} }

func (l *lab) add(name, graph string) {
	l.names, l.graphs = append(l.names, name), append(l.graphs, graph)
}

// ours adds the Q/DQ graph that the policy gives, smoothed unless o is nil.
func (l *lab) ours(t *testing.T, name string, m *onnx.Model, table *calib.Table, p Policy, o *SmoothOptions) {
	t.Helper()
	if o != nil {
		o.Policy = p
		m, table, _ = smoothed(t, m, table, *o)
	}
	q, _, err := Int8(m, table, p)
	if err != nil {
		t.Fatal(err)
	}
	l.add(name, quanttest.Saved(t, q, l.dir, fmt.Sprint("ours", len(l.names))))
}

// theirs adds what another tool makes of the reference's products but lm_head.
func (l *lab) theirs(t *testing.T, python, tool, method string, nodes []string) {
	t.Helper()
	names, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(l.dir, tool+method+".onnx")
	lines := quanttest.Script(t, python, "anchors.py", tool, method, l.reference, out, l.calibrate, itoa(l.samples), itoa(l.length), string(names))
	if n := quanttest.Decode[int](t, lines[len(lines)-1]); n != len(nodes) {
		t.Errorf("%s %s quantized %d products of %d", tool, method, n, len(nodes))
	}
	l.add(tool+" "+method, out)
}

// result is what a graph loses against the float32 reference, in blocks.
type result struct{ KL, NLL []float64 }

func (r result) kl() float64   { return mean(r.KL) }
func (r result) cost() float64 { return math.Expm1(mean(r.NLL)) } // of perplexity

// score evaluates all graphs and prints the table.
func (l *lab) score(t *testing.T) map[string]result {
	t.Helper()
	const block = 64
	lines := judge(t, append([]string{"score", l.evaluate, itoa(l.window), itoa(block), itoa(l.most), l.reference}, l.graphs...)...)
	got := quanttest.Decode[struct {
		Perplexity float64
		Tokens     int
		Graphs     []result
	}](t, lines[0])
	t.Logf("perplexity %.3f of FP32 on %d tokens; intervals of blocks of %d tokens", got.Perplexity, got.Tokens, block)
	all := map[string]result{}
	for i, r := range got.Graphs {
		all[l.names[i]] = r
		lo, hi := bootstrap(len(r.KL), func(draw []int) float64 { return drawn(r.KL, draw) })
		clo, chi := bootstrap(len(r.KL), func(draw []int) float64 { return 100 * math.Expm1(drawn(r.NLL, draw)) })
		t.Logf("%-28s mean KL %.3e [%.3e, %.3e]  perplexity %+.3f %% [%+.3f, %+.3f]", l.names[i], r.kl(), lo, hi, 100*r.cost(), clo, chi)
	}
	return all
}

// ratio is a's mean KL over b's, with its paired 95 % interval.
func ratio(a, b result) (r, lo, hi float64) {
	lo, hi = bootstrap(len(a.KL), func(draw []int) float64 { return drawn(a.KL, draw) / drawn(b.KL, draw) })
	return a.kl() / b.kl(), lo, hi
}

// bootstrap is the 95 % percentile interval of a figure of blocks drawn with
// replacement.
func bootstrap(n int, figure func(draw []int) float64) (lo, hi float64) {
	r := rand.New(rand.NewPCG(1, 1))
	values, draw := make([]float64, 2000), make([]int, n)
	for i := range values {
		for j := range draw {
			draw[j] = r.IntN(n)
		}
		values[i] = figure(draw)
	}
	slices.Sort(values)
	return values[50], values[1949]
}

func drawn(values []float64, draw []int) (m float64) {
	for _, i := range draw {
		m += values[i] / float64(len(draw))
	}
	return m
}

func mean(values []float64) (m float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	return m
}

// products names the matrix products of the full policy.
func productNames(t *testing.T, m *onnx.Model) (names []string) {
	t.Helper()
	targets, err := Targets(m, full())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		names = append(names, target.Node)
	}
	return names
}

// TestDemoAccuracy holds the demo model to what issue 5 promises and prints the
// table: the default within 0.2 % of FP32's perplexity, FP16 within 0.05 %, and
// with all products but lm_head at most half of the mean KL of ONNX Runtime's best
// calibrator. TRTFORGE_FULL=1 asks every calibrator, and ModelOpt.
func TestDemoAccuracy(t *testing.T) {
	python := testenv.Python(t, "oracle")
	m, files := demo(t)
	l := newLab(t, m, files)
	best, modelopt := l.compare(t, python, m, os.Getenv("TRTFORGE_FULL") != "")
	all := l.score(t)
	if c := all["default"].cost(); c > 0.002 {
		t.Errorf("the default costs %.3f %% of perplexity, 0.2 %% are allowed", 100*c)
	}
	if c := all["fp16"].cost(); c > 0.0005 {
		t.Errorf("FP16 costs %.3f %% of perplexity, 0.05 %% are allowed", 100*c)
	}
	l.hold(t, all, best, modelopt)
}

// compare adds our graphs and the other tools' of all products but lm_head.
func (l *lab) compare(t *testing.T, python string, m *onnx.Model, most bool) (calibrators, modelopt []string) {
	table := channelled(t, m, full(), l.sample())
	l.add("fp16", quanttest.Saved(t, halfOf(t, m), l.dir, "fp16"))
	l.ours(t, "default", m, table, Policy{}, &SmoothOptions{})
	l.ours(t, "default, not smoothed", m, table, Policy{}, nil)
	l.ours(t, "all", m, table, full(), &SmoothOptions{})
	l.ours(t, "all, no nodes", m, table, full(), &SmoothOptions{NoNodes: true})
	l.ours(t, "all, not smoothed", m, table, full(), nil)
	calibrators = []string{"Percentile"} // the best of all on the demo model
	if most {
		calibrators = []string{"MinMax", "Entropy", "Percentile", "Percentile@99.99", "Distribution"}
		modelopt = []string{"max", "entropy"}
	}
	nodes := productNames(t, m)
	for _, c := range calibrators {
		l.theirs(t, python, "ort", c, nodes)
	}
	for _, c := range modelopt {
		l.theirs(t, testenv.Python(t, "oracle-modelopt"), "modelopt", c, nodes)
	}
	return calibrators, modelopt
}

// hold compares our mean KL with each tool's best.
func (l *lab) hold(t *testing.T, all map[string]result, calibrators, modelopt []string) {
	t.Helper()
	for _, side := range []struct {
		tool    string
		methods []string
		most    float64
	}{{"ort", calibrators, 0.5}, {"modelopt", modelopt, 1}} {
		least := math.Inf(1)
		for _, method := range side.methods {
			name := side.tool + " " + method
			r, lo, hi := ratio(all["all"], all[name])
			t.Logf("mean KL of ours is %.3f [%.3f, %.3f] of %s", r, lo, hi, name)
			if !strings.Contains(method, "@") { // tuned by hand: shown, not asked for
				least = min(least, all[name].kl())
			}
		}
		if r := all["all"].kl() / least; !math.IsInf(least, 1) && r > side.most {
			t.Errorf("mean KL is %.3f of the best of %s, %.2f are allowed", r, side.tool, side.most)
		}
	}
}

// TestOutliers: four channels of each layer norm's gain are scaled and the
// weights behind them divided, so that FP32 stays what it is. Plain absmax loses
// more than 1 % of perplexity, the default 0.5 % at most.
func TestOutliers(t *testing.T) {
	testenv.Python(t, "oracle")
	m, files := demo(t)
	l := newLab(t, m, files)
	for _, by := range []float32{30, 100} {
		o := outlying(t, m, by)
		table := channelled(t, o, Policy{}, l.sample())
		name := fmt.Sprintf(", x %g", by)
		l.add("fp32"+name, quanttest.Saved(t, o, l.dir, "fp32"+itoa(int(by))))
		l.ours(t, "plain"+name, o, table, Policy{}, nil)
		l.ours(t, "default"+name, o, table, Policy{}, &SmoothOptions{})
	}
	for name, r := range l.score(t) {
		switch c := r.cost(); {
		case name[:4] == "fp32" && math.Abs(c) > 1e-6, name[:5] == "plain" && !(c > 0.01), name[:5] == "defau" && !(c <= 0.005):
			t.Errorf("%s costs %.4f %% of perplexity", name, 100*c)
		}
	}
}

// outlying is m with four channels of each layer norm before a projection scaled.
func outlying(t *testing.T, m *onnx.Model, by float32) *onnx.Model {
	t.Helper()
	c, all, err := products(m)
	if err != nil {
		t.Fatal(err)
	}
	x, r := graph.NewIndex(c.Graph()), rand.New(rand.NewPCG(uint64(by), 4))
	for _, p := range all {
		if p.target.Role != QKV && p.target.Role != FC1 {
			continue
		}
		factors := make([]float32, p.target.In)
		for j := range factors {
			factors[j] = 1
		}
		for _, j := range r.Perm(len(factors))[:4] {
			factors[j] = by
		}
		for _, name := range x.Producer[p.target.Activation].GetInput()[1:] {
			values, err := c.Weight(name).Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for j := range values {
				values[j] *= factors[j]
			}
			c.SetWeight(onnx.Floats(name, c.Weight(name).Dims, values...))
		}
		c.SetWeight(scaled(c.Weight(p.target.Weight), 0, inverted(factors)))
	}
	return c
}

// TestModelAccuracy prints the table for the GPT-2 in the directory
// TRTFORGE_MODEL: calibrated on WikiText-2's valid, evaluated on its test.
func TestModelAccuracy(t *testing.T) {
	dir := os.Getenv("TRTFORGE_MODEL")
	if dir == "" {
		t.Skip("TRTFORGE_MODEL names no directory of a GPT-2")
	}
	python, texts := testenv.Python(t, "oracle"), map[string][]byte{}
	for part, file := range map[string]string{"calibrate": "valid.txt", "evaluate": "test.txt"} {
		b, err := os.ReadFile(filepath.Join(testenv.WikiText(t), file))
		if err != nil {
			t.Fatal(err)
		}
		texts[part] = b
	}
	m, files := loaded(t, dir, texts)
	l := newLab(t, m, files)
	best, modelopt := l.compare(t, python, m, true)
	all := l.score(t)
	l.hold(t, all, best, modelopt)
}
