package task

import (
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/testenv"
)

// The splits of WikiText-2 share rows of <unk> and headings, and nothing else: neither
// may be refused, and a paragraph that stands in both is.
func TestFormulasOfWikiTextAreNoLeak(t *testing.T) {
	dir := testenv.WikiText(t)
	tokenizer, err := bpe.Load(filepath.Join(testenv.Root(t), "examples", "demo", "model"))
	if err != nil {
		t.Fatal(err)
	}
	var texts [2]calib.Text
	for i, name := range []string{"valid.txt", "test.txt"} {
		path := filepath.Join(dir, name)
		ids, err := Tokens(tokenizer, path)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = TextOf(tokenizer, path, ids)
	}
	if err := calib.Overlap(texts[0], texts[1]); err != nil {
		t.Error(err)
	}
	leak := texts[0]
	leak.IDs = append(leak.IDs[:1000:1000], texts[1].IDs[50_000:50_064]...)
	if s, found := calib.FirstShared(leak.IDs, texts[1].IDs, calib.OverlapTokens); !found || s.Tokens < 64 {
		t.Errorf("64 copied tokens: found %v, %+v", found, s)
	}
}
