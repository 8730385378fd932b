package calib

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"github.com/trtforge/trtforge/internal/fault"
)

// RandomText stands in a table in place of the text's digest where the token ids
// were drawn at random.
const RandomText = "random"

// Random draws n token ids below vocab uniformly: the same for the same seed.
// Unless allowed, that is an error of class usage, for the activations of such
// ids are not those of text, and a table of them looks like any other. The job
// records them as [RandomText].
func Random(n, vocab int, seed uint64, allowed bool) ([]int64, error) {
	switch {
	case !allowed:
		return nil, fault.New(fault.Usage, "calibrating", "on random data", "the ranges of random token ids are not those of text",
			"calibrate on text, or allow random data where only speed matters (--allow-random)")
	case n < 1 || vocab < 1:
		return nil, fault.New(fault.Usage, "drawing random token ids", "", fmt.Sprintf("%d ids out of %d", n, vocab), "give positive numbers")
	}
	r := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = r.Int64N(int64(vocab))
	}
	return ids, nil
}

// TextDigest is the sha256, in hexadecimal, of the token ids as little-endian
// uint32: what tables and reference bundles call a text by.
func TextDigest(ids []int64) string {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// CheckIDs tells, as an error of class input, which token is not of the model's
// vocabulary first, and how many are not. vocab 0 means that it is not known.
func CheckIDs(ids []int64, vocab int) error {
	first, count := 0, 0
	for i, id := range ids {
		if id < 0 || vocab > 0 && id >= int64(vocab) {
			if count++; count == 1 {
				first = i
			}
		}
	}
	if count == 0 {
		return nil
	}
	return fault.New(fault.Input, "running", fmt.Sprintf("a text of %d tokens", len(ids)),
		fmt.Sprintf("token %d is %d, the model's vocabulary has %d; %d such tokens in all", first, ids[first], vocab, count),
		"encode the text with the tokenizer of this model")
}
