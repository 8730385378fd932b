package calib

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// A passage that two texts share is a leak from OverlapTokens tokens on, of which
// OverlapDistinct differ from each other. Fewer are a formula that any two texts may
// share: a row of placeholders, headings between empty lines. Measured on WikiText-2,
// valid against test: with the demo's small vocabulary 21 passages of 32 to 54 tokens are
// alike, of 6 to 20 different tokens each, and all are formulas; with GPT-2's vocabulary
// none is. The bound hides 1 in 6 to 1 in 4 copied passages of just 32 tokens, fewer than 1
// in 100 of 64, and 1 in 2,500 of 256. (The train split was not at hand.)
const (
	OverlapTokens   = 32
	OverlapDistinct = 24
)

// Text is the tokens of a file.
type Text struct {
	Name string
	IDs  []int64
	// Words turns tokens back into the file's text; nil where the file holds ids, or
	// nothing can.
	Words func(ids []int64) string
}

// at says where a token stands.
func (t Text) at(token int) string {
	if t.Words == nil {
		return fmt.Sprintf("token %d", token)
	}
	return fmt.Sprintf("line %d (token %d)", 1+strings.Count(t.Words(t.IDs[:token]), "\n"), token)
}

// Overlap refuses, as an error of class usage, calibration on text that is also
// evaluated: ranges fitted to the test make its result meaningless. It says where the
// passage stands in both. The texts are of one tokenizer.
func Overlap(calibration, evaluation Text) error {
	s, found := FirstShared(calibration.IDs, evaluation.IDs, OverlapTokens)
	if !found {
		return nil
	}
	cause := fmt.Sprintf("%d tokens from %s on stand in %s, too, from %s on", s.Tokens,
		calibration.at(s.Calibration), evaluation.Name, evaluation.at(s.Evaluation))
	if calibration.Words != nil {
		cause += fmt.Sprintf(": %q", calibration.Words(calibration.IDs[s.Calibration:s.Calibration+min(s.Tokens, 24)]))
	}
	return fault.New(fault.Usage, "comparing texts", calibration.Name, cause,
		"take texts that share nothing: what is tuned on the text that it is measured on looks better than it is")
}

// Shared is a passage that two texts have in common, in tokens.
type Shared struct {
	Calibration, Evaluation int // where it begins in each
	Tokens                  int // how long it is
}

// FirstShared finds the first passage of at least n tokens of the calibration
// text that also stands in the evaluation text and is no formula. Texts shorter than n
// are compared as a whole, and equal ones share all that they have. It needs memory for
// one hash an evaluation token.
func FirstShared(calibration, evaluation []int64, n int) (s Shared, found bool) {
	n = min(n, len(calibration), len(evaluation))
	if n < 1 {
		return Shared{}, false
	}
	if slices.Equal(calibration, evaluation) {
		return Shared{Tokens: len(calibration)}, true
	}
	at := make(map[uint64]int, len(evaluation))
	grams(evaluation, n, func(i int, hash uint64) bool {
		if _, known := at[hash]; !known {
			at[hash] = i
		}
		return true
	})
	grams(calibration, n, func(i int, hash uint64) bool {
		j, ok := at[hash]
		if !ok {
			return true
		}
		if length := common(calibration[i:], evaluation[j:]); length >= n && varied(calibration[i:i+length], n) {
			s, found = Shared{Calibration: i, Evaluation: j, Tokens: length}, true
		}
		return !found
	})
	// What it begins with may be a formula, which was found elsewhere first.
	for found && s.Calibration > 0 && s.Evaluation > 0 && calibration[s.Calibration-1] == evaluation[s.Evaluation-1] {
		s = Shared{Calibration: s.Calibration - 1, Evaluation: s.Evaluation - 1, Tokens: s.Tokens + 1}
	}
	return s, found
}

// varied tells a passage from a formula. It looks at so many tokens that a formula
// which fills a text costs little.
func varied(passage []int64, n int) bool {
	seen := map[int64]bool{}
	for _, id := range passage[:min(len(passage), 16*n)] {
		if seen[id] = true; len(seen) >= n*OverlapDistinct/OverlapTokens {
			return true
		}
	}
	return false
}

// grams visits the rolling polynomial hash of every n tokens until visit
// returns false. Equal hashes are compared by their tokens, so a collision can
// only hide a passage, never invent one.
func grams(ids []int64, n int, visit func(i int, hash uint64) bool) {
	const base = 0x9E3779B97F4A7C15 // odd: no token loses its weight
	lead := uint64(1)               // base^n
	for range n {
		lead *= base
	}
	var hash uint64
	for i, id := range ids {
		hash = hash*base + mix(id)
		if i >= n {
			hash -= lead * mix(ids[i-n])
		}
		if i+1 >= n && !visit(i+1-n, hash) {
			return
		}
	}
}

// mix spreads a token id over 64 bits (the finalizer of SplitMix64), for small
// ids as they are would make sums of few bits.
func mix(id int64) uint64 {
	z := uint64(id) + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// common is how many tokens a and b begin with alike.
func common(a, b []int64) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
