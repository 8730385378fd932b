package validate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
)

// The conventions. Each is a rule that says which tokens of a text are scored
// given which context, and how their negative log likelihoods (NLL) become one
// perplexity. N is the number of tokens of the text, which is encoded once and
// whole; no rule adds special tokens but where it says so. Logits at position t
// of a window predict its token t+1.
const (
	// HFStrided is the recipe of Hugging Face's documentation ("Perplexity of
	// fixed-length models") with windows of L tokens that begin every S, S <= L.
	// Window w covers tokens [wS, min(wS+L, N)); the last is the first that reaches
	// N. Its labels are the v(w) tokens that no window before it had as labels, and
	// the shift of a causal model takes one more away where the window's first token
	// is among them. With m(w) the mean NLL of the labels that are left,
	//
	//	perplexity = exp( sum over w of (v(w)-1) m(w) / sum over w of (v(w)-1) )
	//
	// as the documentation has it since 2025. v-1 is the number of labels left in
	// window 0 only; in the others it makes each token weigh (v-1)/v. Before, every
	// window weighed the same.
	HFStrided = "hf-strided"
	// HFNonOverlap has windows of L tokens side by side; what is left at the end is
	// dropped. Inside a window the first token is context only and each of the other
	// L-1 is scored given all before it in that window.
	//
	//	perplexity = exp( mean NLL )
	//
	// It is what the GPTQ, AWQ and SmoothQuant papers report.
	HFNonOverlap = "hf-nonoverlap"
	// LlamaChunks is llama.cpp's llama-perplexity: chunks of L tokens side by side,
	// the tail dropped, a text of at least 2L. With f = L/2 rounded down, the logits
	// of positions f to L-2 of each chunk are scored, that is tokens f+1 to L-1:
	//
	//	perplexity = exp( mean NLL )
	//
	// A vocabulary that asks for it (add_bos_token) has BOS put before the text, once,
	// and then in the place of each chunk's first token.
	LlamaChunks = "llama-chunks"
)

// Convention says which tokens of a text are scored given which context.
type Convention struct {
	Name   string // HFStrided, HFNonOverlap or LlamaChunks
	Length int    // tokens a window, 2 or more
	Stride int    // HFStrided: tokens from one window's begin to the next's, 1 to Length
	AddBOS bool   // LlamaChunks: BOS stands at the front of each chunk
	BOS    int    // LlamaChunks with AddBOS: its id
}

// String is the form that is kept with figures: "hf-strided(512,256)",
// "hf-nonoverlap(512)", "llama-chunks(512)" or "llama-chunks(512,bos=1)".
func (c Convention) String() string {
	switch {
	case c.Name == HFStrided:
		return fmt.Sprintf("%s(%d,%d)", c.Name, c.Length, c.Stride)
	case c.AddBOS:
		return fmt.Sprintf("%s(%d,bos=%d)", c.Name, c.Length, c.BOS)
	}
	return fmt.Sprintf("%s(%d)", c.Name, c.Length)
}

// written is what String writes; spaces are let through.
var written = regexp.MustCompile(`^([a-z-]+)\( ?([0-9]{1,9}) ?(?:, ?(bos ?= ?)?([0-9]{1,9}) ?)?\)$`)

// ParseConvention reads what String writes.
func ParseConvention(s string) (Convention, error) {
	m := written.FindStringSubmatch(s)
	if m == nil {
		return Convention{}, notConvention(s)
	}
	number := func(digits string) int {
		n, _ := strconv.Atoi(digits) // nine digits at most
		return n
	}
	c := Convention{Name: m[1], Length: number(m[2])}
	switch second := m[4] != ""; {
	case c.Name == HFStrided && second && m[3] == "":
		c.Stride = number(m[4])
	case c.Name == LlamaChunks && second && m[3] != "":
		c.AddBOS, c.BOS = true, number(m[4])
	case second:
		return Convention{}, notConvention(s)
	}
	if err := c.check(); err != nil {
		return Convention{}, notConvention(s)
	}
	return c, nil
}

func notConvention(s string) error {
	return fault.New(fault.Usage, "reading perplexity convention", strconv.Quote(s),
		"it is none of "+HFStrided+"(LENGTH,STRIDE) with a stride of 1 to LENGTH, "+HFNonOverlap+"(LENGTH), "+LlamaChunks+"(LENGTH) and "+LlamaChunks+"(LENGTH,bos=ID), with a length of 2 or more",
		"write "+HFNonOverlap+"(512), for example")
}

// check finds what no convention can be.
func (c Convention) check() error {
	switch {
	case c.Length < 2 || c.Length > maxLength:
		return fmt.Errorf("a window of %d tokens", c.Length)
	case c.Name == HFStrided:
		if c.Stride < 1 || c.Stride > c.Length || c.AddBOS {
			return fmt.Errorf("windows of %d tokens every %d", c.Length, c.Stride)
		}
	case c.Name == HFNonOverlap:
		if c.Stride != 0 || c.AddBOS {
			return fmt.Errorf("a stride or BOS with %s", c.Name)
		}
	case c.Name == LlamaChunks:
		if c.Stride != 0 || c.Length < 3 { // of two tokens the second half predicts nothing
			return fmt.Errorf("chunks of %d tokens", c.Length)
		}
	default:
		return fmt.Errorf("no convention is called %q", c.Name)
	}
	return nil
}

// MarshalText and UnmarshalText make String the form in files.
func (c Convention) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the form in files.
func (c *Convention) UnmarshalText(text []byte) (err error) {
	*c, err = ParseConvention(string(text))
	return err
}

// EncodeIDs is the form in which token ids go to workers and into digests:
// little-endian uint32, one after the other.
func EncodeIDs(ids []int) []byte {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// IDsDigest is the sha256 of EncodeIDs in hexadecimal.
func IDsDigest(ids []int) string {
	sum := sha256.Sum256(EncodeIDs(ids))
	return hex.EncodeToString(sum[:])
}
