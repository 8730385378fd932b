package validate

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestParseConvention(t *testing.T) {
	for text, want := range map[string]Convention{
		"hf-nonoverlap(512)":      {Name: HFNonOverlap, Length: 512},
		"hf-strided(512,256)":     {Name: HFStrided, Length: 512, Stride: 256},
		"hf-strided(1024, 1024)":  {Name: HFStrided, Length: 1024, Stride: 1024},
		"llama-chunks(512)":       {Name: LlamaChunks, Length: 512},
		"llama-chunks(512,bos=0)": {Name: LlamaChunks, Length: 512, AddBOS: true},
	} {
		got, err := ParseConvention(text)
		if err != nil || got != want {
			t.Errorf("%s reads as %+v, %v", text, got, err)
		}
		if again, err := ParseConvention(got.String()); err != nil || again != want {
			t.Errorf("%s is written as %s", text, got)
		}
	}
	for _, bad := range []string{"", "hf-nonoverlap", "hf-nonoverlap(1)", "hf-nonoverlap(512", "hf-nonoverlap(+512)", "hf-nonoverlap(512)x",
		"hf-nonoverlap(512,256)", "hf-strided(512)", "hf-strided(512,0)", "hf-strided(512,513)", "hf-strided(512,bos=1)",
		"llama-chunks(2)", "llama-chunks(512,256)", "word(512)", "hf-strided(999999999,1)"} {
		if _, err := ParseConvention(bad); fault.Classify(err) != fault.Usage {
			t.Errorf("ParseConvention(%q): %v", bad, err)
		}
	}
}

// label is a token that is scored: which, given which tokens, and with what
// weight.
type label struct {
	begin, at int // of the window in the text; the token in the text
	weight    float64
}

// strided follows the loop of Hugging Face's documentation line by line.
func strided(n, length, stride int) (all []label) {
	previous := 0
	for begin := 0; begin < n; begin += stride {
		end := min(begin+length, n)
		valid := end - previous
		var kept []int
		for at := max(end-valid, begin+1); at < end; at++ { // the shift drops the window's first token
			kept = append(kept, at)
		}
		for _, at := range kept {
			all = append(all, label{begin, at, float64(valid-1) / float64(len(kept))})
		}
		if previous = end; end == n {
			break
		}
	}
	return all
}

// chunks follows llama-perplexity's loop.
func chunks(n, length int) (all []label) {
	for chunk := range n / length {
		for i := range length - 1 - length/2 {
			all = append(all, label{chunk * length, chunk*length + length/2 + i + 1, 1})
		}
	}
	return all
}

func TestWindowsScoreWhatTheirRuleSays(t *testing.T) {
	for _, length := range []int{3, 4, 7, 8} {
		for n := range 5 * length {
			cases := map[Convention][]label{{Name: LlamaChunks, Length: length}: nil}
			if n >= 2*length {
				cases[Convention{Name: LlamaChunks, Length: length}] = chunks(n, length)
			}
			for stride := 1; stride <= length; stride++ {
				if c := (Convention{Name: HFStrided, Length: length, Stride: stride}); n >= length {
					cases[c] = strided(n, length, stride)
				} else {
					cases[c] = nil
				}
			}
			for c, want := range cases {
				if diff := cmp.Diff(want, labels(t, c, n), cmp.AllowUnexported(label{})); diff != "" {
					t.Fatalf("%s of %d tokens: %s", c, n, diff)
				}
			}
		}
	}
}

// labels are what the convention's windows score, through their ids, each of
// which is its place in the text.
func labels(t *testing.T, c Convention, n int) (all []label) {
	t.Helper()
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	windows := c.Windows(ids)
	for i, w := range windows {
		if before := c.Before(n, i); before != len(all) {
			t.Fatalf("%s of %d tokens: %d rows before window %d, said to be %d", c, n, len(all), i, before)
		}
		for at := w.First; at < w.Length-1; at++ {
			all = append(all, label{w.IDs[0], w.IDs[at+1], c.Weight(w.Span)})
		}
	}
	if len(windows) > 0 && c.Before(n, len(windows)) != len(all) {
		t.Fatalf("%s of %d tokens: %d rows, said to be %d", c, n, len(all), c.Before(n, len(windows)))
	}
	return all
}

func TestBOSStandsAtTheFrontOfEachChunk(t *testing.T) {
	c := Convention{Name: LlamaChunks, Length: 3, AddBOS: true, BOS: 99}
	var got [][]int
	for _, w := range c.Windows([]int{1, 2, 3, 4, 5, 6, 7}) { // the stream is 99 1 2, 3 4 5, 6 7
		got = append(got, w.IDs)
	}
	if diff := cmp.Diff([][]int{{99, 1, 2}, {99, 4, 5}}, got); diff != "" {
		t.Error(diff)
	}
	if c.Need() != 5 || c.Count(4) != 0 || c.Count(5) != 2 {
		t.Errorf("a text of %d tokens is enough, 4 have %d chunks, 5 have %d", c.Need(), c.Count(4), c.Count(5))
	}
}

// The beginning that has n windows has the same n windows.
func TestFirstWindows(t *testing.T) {
	ids := make([]int, 60)
	for i := range ids {
		ids[i] = i
	}
	for _, c := range []Convention{{Name: HFNonOverlap, Length: 7}, {Name: HFStrided, Length: 8, Stride: 3}, {Name: LlamaChunks, Length: 5},
		{Name: LlamaChunks, Length: 5, AddBOS: true, BOS: 70}} {
		whole := c.Windows(ids)
		for n := 2; n <= len(whole)+1; n++ {
			part := c.Windows(c.First(ids, n))
			if diff := cmp.Diff(whole[:min(n, len(whole))], part); diff != "" {
				t.Errorf("%s, %d windows: %s", c, n, diff)
			}
		}
	}
	if err := (Convention{Name: LlamaChunks, Length: 5}).Short(9); fault.Exit(err) != 2 {
		t.Errorf("a short text: %v", err)
	}
}

// Tokens weigh as the convention says, and windows are drawn whole.
func TestWeightedMean(t *testing.T) {
	c := Convention{Name: HFStrided, Length: 4, Stride: 2} // of 9 tokens: 3, 2, 2 and 1 scored
	s := Score{Convention: c, Tokens: 9, Windows: []int{0, 1, 2, 3}, Rows: 8, NLL: Sums{Floats{6, 30, 70, 7}, Floats{1, 49, 63}}}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	// Three labels less one of four, of two, of two and of one.
	want := (3*2.0 + 1*15 + 1*35 + 0*7) / (3 + 1 + 1 + 0)
	if got := s.MeanNLL(); math.Abs(got-want) > 1e-12 {
		t.Errorf("mean %v, want %v", got, want)
	}
	all, err := Compare(&s, Options{})
	if err != nil || math.Abs(find(t, all, Perplexity).Value/math.Exp(want)-1) > 1e-12 {
		t.Errorf("%v %v", all, err)
	}
	r := find(t, all, NLLByPosition)
	if fmt.Sprint(r.Samples) != fmt.Sprint([]float64{1, (2 + 10 + 30 + 7) / 4.0, (3 + 20 + 40) / 3.0}) || string(r.Extra[FirstPosition]) != "0" {
		t.Errorf("by position %v from %s", r.Samples, r.Extra[FirstPosition])
	}
}
