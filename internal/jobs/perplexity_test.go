//go:build cgo

package jobs

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
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
