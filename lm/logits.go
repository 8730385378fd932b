package lm

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
	if len(values) == 0 || values[0] != values[0] {
		return -1
	}
	best, at := values[0], 0
	for i := 0; i < len(values); {
		if n := i + block; n <= len(values) && below((*[block]float32)(values[i:n]), best) {
			i = n
			continue
		}
		for end := min(i+block, len(values)); i < end; i++ {
			v := values[i]
			if v != v {
				return -1
			}
			if v > best {
				best, at = v, i
			}
		}
	}
	return int64(at)
}

// block is how many logits are compared at once: the search runs once a token
// over the whole vocabulary, inside the time that is measured.
const block = 8

// below tells whether no value of a block is above best; false too where one is NaN.
func below(v *[block]float32, best float32) bool {
	return v[0] <= best && v[1] <= best && v[2] <= best && v[3] <= best &&
		v[4] <= best && v[5] <= best && v[6] <= best && v[7] <= best
}
