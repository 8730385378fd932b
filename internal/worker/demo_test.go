package worker

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/validate"
)

var convention = validate.Convention{Name: validate.HFNonOverlap, Length: 512}

var update = flag.Bool("update", false, "record the demo's reference bundle again")

// demo is a request for the demo model's bundle on its evaluation text.
func demo(t *testing.T) (BundleRequest, []int) {
	t.Helper()
	root := filepath.Join(testenv.Root(t), "examples", "demo")
	model := filepath.Join(root, "model")
	tok, err := bpe.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	raw := testenv.DemoText(t, "evaluate")
	ids, err := tok.Encode(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ids.bin")
	if err := os.WriteFile(file, validate.EncodeIDs(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	return BundleRequest{Scored: Scored{Model: model, IDs: file, Threads: 2, Convention: convention.String()}, Out: t.TempDir(), CreatedBy: "trtforge", Greedy: &Greedy{Prompts: 16, PromptTokens: 32, NewTokens: 32},
		Digests: Digests(digests(t, model, raw, ids))}, ids
}

// start starts the reference worker with what is installed.
func start(t *testing.T) *child.Child {
	t.Helper()
	c, err := Start(t.Context(), Reference, Options{Python: testenv.Python(t, "reference"), Cache: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The recorded bundle is what PyTorch says today, up to the order in which
// another processor adds.
func TestDemoBundle(t *testing.T) {
	c := start(t)
	request, _ := demo(t)
	result, err := Bundle(t.Context(), c, request, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	recorded := filepath.Join(testenv.Root(t), "examples", "demo", "reference")
	if *update {
		copyBundle(t, request.Out, recorded)
	}
	live, old := read(t, request.Out), read(t, recorded)
	if live.Perplexity != result.Perplexity || live.Rows != result.Rows {
		t.Errorf("the worker says perplexity %v of %d rows, its bundle %v of %d", result.Perplexity, result.Rows, live.Perplexity, live.Rows)
	}
	if err := old.Verify(validate.Digests(request.Digests), convention); err != nil {
		t.Error(err)
	}
	if d := math.Abs(live.Perplexity/old.Perplexity - 1); d > 1e-6 {
		t.Errorf("perplexity %v, recorded %v", live.Perplexity, old.Perplexity)
	}
	compareGreedy(t, live.Greedy, old.Greedy)
	for w := range live.Windows {
		compareWindow(t, w, window(t, live, w), window(t, old, w))
	}
	if st, err := os.Stat(filepath.Join(recorded, validate.DataFile)); err != nil || st.Size() > 2<<20 {
		t.Errorf("the recorded bundle is larger than 2 MiB (%v)", err)
	}
}

// compareGreedy lets a continuation go another way where two tokens are almost
// equally likely, but not many.
func compareGreedy(t *testing.T, got, want *validate.Greedy) {
	t.Helper()
	if got == nil || want == nil || !slices.Equal(got.Begins, want.Begins) {
		t.Fatalf("greedy continuations %+v, recorded %+v", got, want)
	}
	same := 0
	for i := range want.IDs {
		if slices.Equal(got.IDs[i], want.IDs[i]) {
			same++
		}
	}
	if same < len(want.IDs)-1 {
		t.Errorf("%d of %d greedy continuations are the recorded ones", same, len(want.IDs))
	}
}

func compareWindow(t *testing.T, w int, got, want []validate.Row) {
	t.Helper()
	worst := 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i].NLL-want[i].NLL)), math.Abs(float64(got[i].LSE-want[i].LSE)))
		for k := range want[i].LogProbs {
			worst = max(worst, math.Abs(float64(got[i].LogProbs[k]-want[i].LogProbs[k])))
		}
	}
	if worst > 1e-4 {
		t.Errorf("window %d: log-probabilities differ by %g from the recorded ones", w, worst)
	}
}

func read(t *testing.T, dir string) *validate.Bundle {
	t.Helper()
	b, err := validate.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func window(t *testing.T, b *validate.Bundle, w int) []validate.Row {
	t.Helper()
	all, err := b.Window(w)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func copyBundle(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{validate.HeaderFile, validate.DataFile} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func digests(t *testing.T, model string, text []byte, ids []int) validate.Digests {
	t.Helper()
	path := filepath.Join(t.TempDir(), "evaluate.txt")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d := validate.Digests{IDs: validate.IDsDigest(ids)}
	for _, part := range []struct {
		into *string
		of   func() (string, error)
	}{
		{&d.Model, func() (string, error) { return validate.ModelDigest(model) }},
		{&d.Text, func() (string, error) { return fsx.Digest(path) }},
		{&d.Tokenizer, func() (string, error) { return validate.FilesDigest(bpe.Files(model)...) }},
	} {
		var err error
		if *part.into, err = part.of(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

var _ Caller = (*child.Child)(nil)
