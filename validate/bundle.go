package validate

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/keep"
)

// A bundle is a directory of two files.
const (
	HeaderFile = "bundle.json" // Header
	DataFile   = "bundle.bin"  // the rows, see Row
)

// SchemaVersion is the version of the bundle form that this program writes and
// the newest that it reads.
const SchemaVersion = 1

// TopK is how many of the most likely tokens a bundle keeps unless it is told
// otherwise or the vocabulary is smaller.
const TopK = 64

// Header is bundle.json: what was scored, by what, and how.
type Header struct {
	Kind          string            `json:"kind"` // "bundle"
	SchemaVersion int               `json:"schema_version"`
	CreatedBy     string            `json:"created_by"`
	Convention    Convention        `json:"convention"`
	Tokens        int               `json:"tokens"`   // of the whole text, the dropped tail included
	Windows       int               `json:"windows"`  // of the text, by the convention
	Rows          int               `json:"rows"`     // scored tokens in all of them
	Vocab         int               `json:"vocab"`    // logits a row
	TopK          int               `json:"top_k"`    // the smaller of 64 and Vocab unless asked otherwise
	IDBytes       int               `json:"id_bytes"` // 2 where Vocab <= 65536, else 4
	MeanNLL       float64           `json:"mean_nll"` // nats, weighted as the convention says, summed in float64
	Perplexity    float64           `json:"perplexity"`
	Digests       Digests           `json:"digests"`
	DataDigest    string            `json:"data_sha256"` // of bundle.bin
	Settings      map[string]string `json:"settings"`    // dtype, attention, tf32, threads
	Versions      map[string]string `json:"versions"`    // torch, transformers, python
	Greedy        *Greedy           `json:"greedy,omitempty"`

	extra keep.Fields // of writers that know more
}

// plain is a Header without its methods.
type plain Header

// UnmarshalJSON keeps the fields that this program does not know.
func (h *Header) UnmarshalJSON(b []byte) (err error) {
	h.extra, err = keep.Unmarshal(b, (*plain)(h))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (h Header) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(h), h.extra) }

// Digests identify what a bundle was made from, each a sha256 in hexadecimal.
type Digests struct {
	Model     string `json:"model"`     // ModelDigest
	Text      string `json:"text"`      // of the text file
	Tokenizer string `json:"tokenizer"` // FilesDigest of bpe.Files
	IDs       string `json:"ids"`       // IDsDigest of the whole text
}

// Greedy is what the reference continues some stretches of the text with when it
// takes the most likely token each time; ties by the smaller id.
type Greedy struct {
	PromptTokens int     `json:"prompt_tokens"`
	NewTokens    int     `json:"new_tokens"`
	Begins       []int   `json:"begins"` // of each prompt, in tokens of the text
	IDs          [][]int `json:"ids"`    // NewTokens of each
}

// maxGreedy bounds the prompts and the tokens of each.
const maxGreedy = 1 << 12

// check finds what cannot be among the continuations of a text.
func (g *Greedy) check(h *Header) error {
	if g == nil {
		return nil
	}
	if g.PromptTokens < 1 || g.NewTokens < 1 || g.PromptTokens > maxGreedy || g.NewTokens > maxGreedy || len(g.Begins) > maxGreedy || len(g.IDs) != len(g.Begins) {
		return fmt.Errorf("%d greedy continuations of %d prompts of %d tokens", len(g.IDs), len(g.Begins), g.PromptTokens)
	}
	for i, ids := range g.IDs {
		if g.Begins[i] < 0 || g.Begins[i] > h.Tokens-g.PromptTokens || len(ids) != g.NewTokens {
			return fmt.Errorf("greedy continuation %d of %d tokens after token %d", i, len(ids), g.Begins[i])
		}
		for _, id := range ids {
			if id < 0 || id >= h.Vocab {
				return fmt.Errorf("greedy continuation %d has token %d in a vocabulary of %d", i, id, h.Vocab)
			}
		}
	}
	return nil
}

// rowBytes is the size of a row: NLL, LSE, tail, K ids, K log-probabilities.
func (h *Header) rowBytes() int64 { return 12 + int64(h.TopK)*int64(h.IDBytes+4) }

// size is the size of bundle.bin that the header announces.
func (h *Header) size() int64 { return int64(h.Rows) * h.rowBytes() }

// limits of what a header may announce, far above any real one, so that their
// products stay within int64.
const (
	maxLength = 1 << 24
	maxRows   = 1 << 31
	maxVocab  = 1 << 28
	maxTopK   = 1 << 16
)

// check finds every contradiction in a header.
func (h *Header) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if err := h.Convention.check(); err != nil {
		errs = append(errs, err)
	}
	bad(h.Tokens < 0 || h.Tokens > maxRows, "%d tokens", h.Tokens)
	bad(h.Windows < 1 || h.Windows > maxRows, "%d windows", h.Windows)
	bad(h.Vocab < 1 || h.Vocab > maxVocab, "a vocabulary of %d", h.Vocab)
	bad(h.TopK < 1 || h.TopK > min(h.Vocab, maxTopK), "the %d most likely of %d tokens", h.TopK, h.Vocab)
	bad(h.IDBytes != idBytes(h.Vocab), "%d bytes a token id for a vocabulary of %d", h.IDBytes, h.Vocab)
	if len(errs) == 0 { // else the products below mean nothing
		windows := h.Convention.Count(h.Tokens)
		bad(windows != h.Windows, "%d windows of %s in %d tokens, which have %d", h.Windows, h.Convention, h.Tokens, windows)
		bad(h.Rows > maxRows || h.Rows != h.Convention.Before(h.Tokens, windows), "%d rows in %d windows of %s", h.Rows, h.Windows, h.Convention)
		bad(!close64(h.Perplexity, math.Exp(h.MeanNLL)), "perplexity %g with a mean NLL of %g", h.Perplexity, h.MeanNLL)
		errs = append(errs, h.Greedy.check(h))
	}
	return errors.Join(errs...)
}

// idBytes is the width of a token id in a bundle.
func idBytes(vocab int) int {
	if vocab <= 1<<16 {
		return 2
	}
	return 4
}

// average is the mean NLL of rows that come in the order of the text, weighted as
// the convention says.
type average struct {
	window, left int     // the window under way, and its rows to come
	weight       float64 // of a row of it
	sum, total   float64
}

func (a *average) add(h *Header, nll float32) {
	for a.left == 0 {
		s := h.Convention.Span(h.Tokens, a.window)
		a.window, a.left, a.weight = a.window+1, s.Rows(), h.Convention.Weight(s)
	}
	a.left--
	a.sum += a.weight * float64(nll)
	a.total += a.weight
}

func (a *average) mean() float64 { return a.sum / a.total }

func close64(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// Bundle is an open reference. Close releases its file.
type Bundle struct {
	Header
	name string
	data io.ReaderAt
	file *os.File // nil for a bundle in memory
}

// Close releases the bundle's file.
func (b *Bundle) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Window reads the rows of window w, one for each of its scored tokens.
func (b *Bundle) Window(w int) ([]Row, error) {
	if w < 0 || w >= b.Windows {
		return nil, fault.New(fault.Input, "reading reference bundle", b.name,
			fmt.Sprintf("it has no window %d, only %d", w, b.Windows), recordIt)
	}
	n, before := b.Convention.Span(b.Tokens, w).Rows(), b.Convention.Before(b.Tokens, w)
	raw := make([]byte, int64(n)*b.rowBytes())
	if _, err := b.data.ReadAt(raw, int64(before)*b.rowBytes()); err != nil {
		return nil, fault.Wrap(fault.Input, "reading reference bundle", b.name, err, recordIt)
	}
	all := make([]Row, n)
	for i := range all {
		all[i] = b.decode(raw[int64(i)*b.rowBytes():])
	}
	return all, nil
}

// recordIt is what to do where a bundle is not fit.
const recordIt = "record one: `trtforge validate --reference-only -o DIR --model CHECKPOINT --text FILE`"

// Verify holds the bundle to what is in hand: every digest, and the convention.
// An empty digest in want is not compared. All differences are reported.
func (b *Bundle) Verify(want Digests, c Convention) error {
	var errs []error
	for _, d := range []struct{ other, what, have, want string }{
		{"another model", "model", b.Digests.Model, want.Model}, {"another text", "text", b.Digests.Text, want.Text},
		{"another tokenizer", "tokenizer", b.Digests.Tokenizer, want.Tokenizer},
		{"another text (other token ids)", "text", b.Digests.IDs, want.IDs},
		{"another convention", "convention", b.Convention.String(), c.String()},
	} {
		if d.want != "" && d.have != d.want {
			errs = append(errs, fault.New(fault.Input, "checking reference bundle", b.name,
				fmt.Sprintf("it was recorded for %s: %s, not %s", d.other, d.have, d.want),
				"give the "+d.what+" it was recorded for, or "+recordIt))
		}
	}
	return errors.Join(errs...)
}
