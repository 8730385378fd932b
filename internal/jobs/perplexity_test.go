//go:build cgo

package jobs

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// TestPerplexityAsTransformers holds perplexities on WikiText-2's test split to
// those of transformers, for the demo model and for a random one of 1024
// positions, in every convention and on both paths. It takes the first so many
// tokens; TRTFORGE_FULL=1 takes all, by prefill.
func TestPerplexityAsTransformers(t *testing.T) {
	const part = 2200
	c := client(t)
	c.Run = -1 // all of the text takes a while
	tokens := filepath.Join(demoDir(t), "model")
	tokenizer, err := bpe.Load(tokens)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(testenv.WikiText(t), "test.txt"))
	if err != nil {
		t.Fatal(err)
	}
	test := string(raw)
	full := os.Getenv("TRTFORGE_FULL") != ""
	if !full {
		test = test[:8*part]
	}
	ids, err := tokenizer.Encode(test)
	if err != nil {
		t.Fatal(err)
	}
	if !full {
		ids = ids[:part]
	}
	random := t.TempDir()
	shape := export.Shape{Layers: 3, Width: 192, Heads: 3, Vocab: 2048, Positions: 1024, Std: 0.06}
	if err := export.Random(random, shape, 3); err != nil {
		t.Fatal(err)
	}
	asked := map[string][]validate.Convention{
		tokens: {{Name: validate.HFStrided, Length: 512, Stride: 512}, {Name: validate.HFNonOverlap, Length: 512}, {Name: validate.LlamaChunks, Length: 512}},
		random: {{Name: validate.HFStrided, Length: 512, Stride: 512}, {Name: validate.HFNonOverlap, Length: 1024}, {Name: validate.LlamaChunks, Length: 512}},
	}
	if !full { // of all of the text they take twice as long as the others
		asked[tokens] = append(asked[tokens], validate.Convention{Name: validate.HFStrided, Length: 512, Stride: 256})
		asked[random] = append(asked[random], validate.Convention{Name: validate.HFStrided, Length: 1024, Stride: 512})
	}
	answers := transformers(t, ids, asked)
	for model, conventions := range asked {
		m, err := export.GPT2(model, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		engine := saved(t, m)
		want := answers[model]
		for i, convention := range conventions {
			for _, phase := range []string{Prefill, Decode} {
				if phase == Decode && (full || i > 0 || model == random) {
					continue // token by token it takes many times as long, and the windows are the same
				}
				s, err := Score(t.Context(), c, ScoreRequest{Model: engine, IDs: ids, Convention: convention, Phase: phase}, progress.Noop)
				if err != nil {
					t.Fatal(err)
				}
				got := s.Perplexity()
				t.Logf("%s %s %s: %d tokens, perplexity %.6f, transformers %.6f, ratio - 1 = %.1e", filepath.Base(model), convention, phase, s.Rows, got, want[i], got/want[i]-1)
				if !(math.Abs(got/want[i]-1) < 1e-4) {
					t.Errorf("%s by %s, %s: perplexity %v, transformers says %v", filepath.Base(model), convention, phase, got, want[i])
				}
			}
		}
	}
}

// transformers asks PyTorch for the same perplexities.
func transformers(t *testing.T, ids []int, asked map[string][]validate.Convention) (want map[string][]float64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	rules := map[string][][]any{}
	for model, conventions := range asked {
		for _, c := range conventions {
			rule := []any{c.Name, c.Length}
			if c.Name == validate.HFStrided {
				rule = append(rule, c.Stride)
			}
			rules[model] = append(rules[model], rule)
		}
	}
	request, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Python(t, "oracle"), filepath.Join("testdata", "perplexity.py"), path)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking transformers: %v", err)
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// TestFiguresAsPyTorch holds what is said of one model against another to PyTorch: the
// demo model, and the same with its weights a little off, on WikiText-2. The engine and
// the reference are ours from end to end, PyTorch's logits are its own.
func TestFiguresAsPyTorch(t *testing.T) {
	const tokens, topK = 1600, 64
	c := client(t)
	model := filepath.Join(demoDir(t), "model")
	convention := validate.Convention{Name: validate.HFNonOverlap, Length: 512}
	ids := wikiText(t, model, tokens)
	out := t.TempDir()
	want := apart(t, ids, model, convention.Length, topK, out)

	m, err := export.GPT2(filepath.Join(out, "model"), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	engine := saved(t, m)
	for _, way := range []string{"bundle", "stream"} {
		r := ScoreRequest{Model: engine, IDs: ids, Convention: convention, Phase: Prefill, Batch: 1}
		k, kl := 0, want.Full
		if way == "stream" {
			r.Pipe = filepath.Join(out, "logits")
		} else {
			r.Bundle, k, kl = recorded(t, ids, model, convention, topK), topK, want.Top
		}
		s, err := Score(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		all, err := validate.Compare(s, validate.Options{Engine: "off"})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{
			validate.KLName(k, "mean"): kl.Mean, validate.KLName(k, "p99"): kl.P99, validate.KLName(k, "p999"): kl.P999, validate.KLName(k, "max"): kl.Max,
			validate.DProbMean: want.DProb, validate.DProbRMS: want.RMS, validate.PPLRatio: want.Ratio,
			validate.Top1Agreement: want.Top1, validate.Top5Agreement: want.Top5,
		} {
			row, ok := rows.Find(all, "off", "", Prefill, name)
			t.Logf("%s, %s: %.9f, PyTorch %.9f, off by %.1e", way, name, row.Value, want, row.Value-want)
			if !ok || !(math.Abs(row.Value-want) < 1e-5) {
				t.Errorf("%s: %s is %v, PyTorch says %v", way, name, row.Value, want)
			}
		}
	}
}

// klFigures are of a KL divergence over tokens.
type klFigures struct{ Mean, P99, P999, Max float64 }

type apartAnswer struct {
	Full, Top                     klFigures
	DProb, RMS, Top1, Top5, Ratio float64
}

// apart asks PyTorch how far a model is from its copy in out/model.
func apart(t *testing.T, ids []int, model string, length, topK int, out string) (want apartAnswer) {
	t.Helper()
	path := filepath.Join(out, "ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Python(t, "oracle"), filepath.Join("testdata", "kl.py"), path, model, strconv.Itoa(length), strconv.Itoa(topK), out)
	cmd.Stderr = t.Output()
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking PyTorch: %v", err)
	}
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// recorded is the bundle that trtforge's own reference worker records.
func recorded(t *testing.T, ids []int, model string, c validate.Convention, topK int) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := worker.Start(t.Context(), worker.Reference, worker.Options{Python: testenv.Python(t, "reference"), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	_, err = worker.Bundle(t.Context(), w, worker.BundleRequest{
		Scored: worker.Scored{Model: model, IDs: path, Convention: c.String(), Threads: 2}, Out: dir, CreatedBy: "test", TopK: topK,
	}, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// wikiText is the beginning of WikiText-2's test split.
func wikiText(t *testing.T, model string, tokens int) []int {
	t.Helper()
	tokenizer, err := bpe.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(testenv.WikiText(t), "test.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(raw[:8*tokens]))
	if err != nil {
		t.Fatal(err)
	}
	return ids[:tokens]
}
