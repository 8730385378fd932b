package validate

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestBundleRoundTrip(t *testing.T) {
	for _, vocab := range []int{100, 1 << 16, 1<<16 + 1} {
		s := newSample(t, vocab, 16, 0)
		for w := range s.windows {
			got, err := s.bundle.Window(w)
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range got {
				want := rowOf(s.ref[w*(sampleLength-1)+i], s.windows[w].IDs[i+1], 16)
				if diff := cmp.Diff(want, row); diff != "" {
					t.Fatalf("vocabulary %d, window %d row %d: %s", vocab, w, i, diff)
				}
			}
		}
		if _, err := s.bundle.Window(sampleWindows); err == nil {
			t.Error("a window past the end was read")
		}
	}
}

func TestVerifyNamesEveryDifference(t *testing.T) {
	s := newSample(t, 100, 16, 0)
	s.bundle.Digests = Digests{Model: "m", Text: "t", Tokenizer: "k", IDs: "i"}
	c := s.bundle.Convention
	if err := s.bundle.Verify(s.bundle.Digests, c); err != nil {
		t.Errorf("its own digests: %v", err)
	}
	err := s.bundle.Verify(Digests{Model: "x", Text: "t", Tokenizer: "y"}, Convention{Name: HFNonOverlap, Length: 9})
	if fault.Classify(err) != fault.Input {
		t.Fatalf("class %s of %v", fault.Classify(err), err)
	}
	for _, word := range []string{"another model", "another tokenizer", "another convention"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "another text") {
		t.Errorf("%v names the text, which is the same", err)
	}
}

// encoded is the two files of a small valid bundle.
func encoded(t testing.TB) (header, data []byte) {
	t.Helper()
	dir := t.TempDir()
	h := Header{CreatedBy: "test", Convention: Convention{Name: HFNonOverlap, Length: 3}, Tokens: 7, Windows: 2, Rows: 4, Vocab: 5, TopK: 2}
	err := Write(dir, h, func() (Row, error) { return rowOf([]float32{1, 2, 3, 4, 5}, 2, 2), nil })
	if err != nil {
		t.Fatal(err)
	}
	header, err = os.ReadFile(filepath.Join(dir, HeaderFile))
	if err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(filepath.Join(dir, DataFile))
	if err != nil {
		t.Fatal(err)
	}
	return header, data
}

func TestReadRefuses(t *testing.T) {
	header, data := encoded(t)
	edit := func(key string, value any) []byte {
		all := map[string]any{}
		if err := json.Unmarshal(header, &all); err != nil {
			t.Fatal(err)
		}
		all[key] = value
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	flipped := bytes.Clone(data)
	flipped[12] = 3 // 4 was the most likely id: only the digest can tell
	lying := bytes.Clone(data)
	lying[12] = 200 // an id outside the vocabulary
	for _, c := range []struct {
		name         string
		header, data []byte
		says         string
	}{
		{"no JSON", []byte("{"), data, "bundle.json"},
		{"another kind", edit("kind", "plan"), data, `kind "plan"`},
		{"a newer version", edit("schema_version", 2), data, "version 2"},
		{"another convention", edit("convention", "hf-strided(512)"), data, "hf-strided"},
		{"more rows than there are", edit("rows", 5), data, "5 rows"},
		{"an absurd number of windows", edit("windows", 1<<40), data, "windows"},
		{"more tokens kept than there are", edit("top_k", 6), data, "6 most likely of 5"},
		{"the wrong id width", edit("id_bytes", 4), data, "4 bytes a token id"},
		{"a perplexity that is not its mean's", edit("perplexity", 3), data, "perplexity 3"},
		{"too few tokens", edit("tokens", 5), data, "2 windows"},
		{"another digest", edit("data_sha256", "00"), data, "sha256"},
		{"truncated data", header, data[:len(data)-1], "bytes"},
		{"a changed byte", header, flipped, "sha256"},
		{"an id outside the vocabulary", header, lying, "token id 200"},
	} {
		_, err := open("b", c.header, bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || !strings.Contains(err.Error(), c.says) || fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Read(t.TempDir()); fault.Classify(err) != fault.Input {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestWriteRefusesBadRows(t *testing.T) {
	h := Header{Convention: Convention{Name: HFNonOverlap, Length: 2}, Tokens: 2, Windows: 1, Rows: 1, Vocab: 5, TopK: 2}
	row := rowOf([]float32{1, 2, 3, 4, 5}, 2, 2)
	row.NLL = float32(math.NaN())
	dir := t.TempDir()
	if err := Write(dir, h, func() (Row, error) { return row, nil }); err == nil {
		t.Error("a NaN was written")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	header, data := encoded(f)
	f.Add(header, data)
	f.Add(header, data[:8])
	f.Add(bytes.Replace(header, []byte(`"vocab": 5`), []byte(`"vocab": 70000`), 1), data)
	f.Add([]byte(`{"kind":"bundle","schema_version":1,"convention":"hf-nonoverlap(16777216)","windows":2147483647}`), []byte{})
	f.Fuzz(func(t *testing.T, header, data []byte) {
		b, err := open("b", header, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Errorf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		if _, err := b.Window(b.Windows - 1); err != nil {
			t.Errorf("an accepted bundle has no last window: %v", err)
		}
	})
}

// The digest of ids is that of what Python writes with array("I").
func TestIDsDigest(t *testing.T) {
	// sha256 of 01 00 00 00 ff ff 00 00, by sha256sum.
	if got, want := IDsDigest([]int{1, 65535}), "8e414ec2139eb2e6098c59fdf431949d10a8aaec545858efb78752293618bd11"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}
