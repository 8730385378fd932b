package lm

import "math"

// Logits are unnormalised log-probabilities, shape [Batch, Seq, Vocab]. They
// view a decoder's buffer and hold until its next Prefill or Step.
type Logits struct {
	Data              []float32
	Batch, Seq, Vocab int
}

// Row is the logits of one position of one row, length Vocab. Positions count
// from the left of what was fed, padding included; -1 is the last.
func (l Logits) Row(batch, position int) []float32 {
	if position < 0 {
		position += l.Seq
	}
	from := (batch*l.Seq + position) * l.Vocab
	return l.Data[from : from+l.Vocab : from+l.Vocab]
}

// Greedy writes to next, length Batch, the most probable token after the last
// position of each row. It returns false where a row holds no number at all or
// a NaN: such a model has no most probable token.
func (l Logits) Greedy(next []int64) bool {
	sound := true
	for b := range next {
		next[b] = Argmax(l.Row(b, -1))
		sound = sound && next[b] >= 0
	}
	return sound
}

// Argmax is the index of the largest value, the first of equals; -1 where a
// value is NaN or there is none.
func Argmax(values []float32) int64 {
	best, at := float32(math.Inf(-1)), int64(-1)
	for i, v := range values {
		if v > best || at < 0 {
			best, at = v, int64(i)
		}
		if v != v {
			return -1
		}
	}
	return at
}
