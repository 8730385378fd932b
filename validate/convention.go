package validate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// HFNonOverlap names the one convention there is so far: the whole text is
// encoded once, without special tokens, and cut into windows of Length tokens
// side by side; what is left at the end is dropped. Inside a window the first
// token is context only and each of the other Length-1 is scored given all
// before it in that window. Perplexity is exp of the mean NLL over all scored
// tokens. It is what the GPTQ, AWQ and SmoothQuant papers report and
// Hugging Face's strided recipe with stride = length.
const HFNonOverlap = "hf-nonoverlap"

// Convention says which tokens of a text are scored given which context.
type Convention struct {
	Name   string // HFNonOverlap
	Length int    // tokens a window, 2 or more
}

// String is the form that is kept with figures: "hf-nonoverlap(512)".
func (c Convention) String() string { return fmt.Sprintf("%s(%d)", c.Name, c.Length) }

// ParseConvention reads what String writes.
func ParseConvention(s string) (Convention, error) {
	name, rest, _ := strings.Cut(s, "(")
	digits, closed := strings.CutSuffix(rest, ")")
	n, err := strconv.Atoi(digits)
	c := Convention{Name: name, Length: n}
	if name != HFNonOverlap || !closed || err != nil || n < 2 || c.String() != s {
		return Convention{}, fault.New(fault.Usage, "reading perplexity convention", strconv.Quote(s),
			"it is not "+HFNonOverlap+"(LENGTH) with a length of 2 or more", "write "+HFNonOverlap+"(512)")
	}
	return c, nil
}

// MarshalText and UnmarshalText make String the form in files.
func (c Convention) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the form in files.
func (c *Convention) UnmarshalText(text []byte) (err error) {
	*c, err = ParseConvention(string(text))
	return err
}

// Window is a stretch of a text that a model sees at once.
type Window struct {
	Index int   // its place in the text's list of windows
	Begin int   // index of its first token in the text
	IDs   []int // its tokens, a view; IDs[1:] are scored
}

// Rows is the number of scored tokens. The logits of position t predict
// IDs[t+1], for t from 0 to Rows()-1.
func (w Window) Rows() int { return len(w.IDs) - 1 }

// Windows cuts a text's tokens as the convention says. A text shorter than one
// window has none.
func (c Convention) Windows(ids []int) []Window {
	var all []Window
	for begin := 0; c.Length >= 2 && begin+c.Length <= len(ids); begin += c.Length {
		all = append(all, Window{Index: len(all), Begin: begin, IDs: ids[begin : begin+c.Length]})
	}
	return all
}

// Windows is c.Windows(ids).
func Windows(ids []int, c Convention) []Window { return c.Windows(ids) }

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
