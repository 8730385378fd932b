package calib

import (
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// OverlapTokens is the length of passage that nobody writes twice by chance.
const OverlapTokens = 32

// Shared is a passage that two texts have in common, in tokens.
type Shared struct {
	Calibration, Evaluation int // where it begins in each
	Tokens                  int // how long it is
}

// FirstShared finds the first passage of at least n tokens of the calibration
// text that also stands in the evaluation text. Texts shorter than n are
// compared as a whole. It needs memory for one hash an evaluation token.
func FirstShared(calibration, evaluation []int64, n int) (s Shared, found bool) {
	n = min(n, len(calibration), len(evaluation))
	if n < 1 {
		return Shared{}, false
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
		if length := common(calibration[i:], evaluation[j:]); ok && length >= n {
			s, found = Shared{Calibration: i, Evaluation: j, Tokens: length}, true
		}
		return !found
	})
	return s, found
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

// Overlap refuses, as an error of class usage, calibration on text that is also
// evaluated: ranges fitted to the test make its result meaningless. n is the
// length of passage that counts, [OverlapTokens] unless there is a reason. Texts
// are token ids of one tokenizer; passage, which may be nil, turns those of the
// overlap into words for the message.
func Overlap(calibration, evaluation []int64, n int, passage func(ids []int64) string) error {
	s, found := FirstShared(calibration, evaluation, n)
	if !found {
		return nil
	}
	cause := fmt.Sprintf("tokens %d to %d of the calibration text stand in the evaluation text at %d",
		s.Calibration, s.Calibration+s.Tokens, s.Evaluation)
	if passage != nil {
		cause += fmt.Sprintf(": %q", passage(calibration[s.Calibration:s.Calibration+min(s.Tokens, 24)]))
	}
	return fault.New(fault.Usage, "calibrating", "", cause, "calibrate on a text that is not evaluated")
}
