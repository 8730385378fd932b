package bpe

import (
	"errors"
	"fmt"
	"math"
)

// maxID bounds token ids so that a pair of them packs into 64 bits and sizes
// computed from them stay sane.
const maxID = math.MaxInt32 - 1

// assemble builds the tables and finds every contradiction between the parts.
func assemble(path string, m *model, more []addedToken, prefixSpace bool) (*Tokenizer, error) {
	t := &Tokenizer{tokens: map[string]int32{}, pieces: map[int32]string{}, merges: map[uint64]merged{},
		prefixSpace: prefixSpace, ignoreMerges: m.IgnoreMerges}
	if err := t.setVocab(m.Vocab); err != nil {
		return nil, refuse(path, err)
	}
	if err := t.setBytes(); err != nil {
		return nil, refuse(path, err)
	}
	if err := errors.Join(t.setMerges(m.Merges), t.setAdded(more, len(m.Vocab))); err != nil {
		return nil, refuse(path, err)
	}
	return t, nil
}

func (t *Tokenizer) setVocab(vocab map[string]int64) error {
	byStandIn := map[rune]byte{}
	for b, r := range standIns() {
		byStandIn[r] = byte(b)
	}
	for token, id := range vocab {
		if id < 0 || id > maxID {
			return fmt.Errorf("token %q has the id %d", token, id)
		}
		if piece, ok := t.pieces[int32(id)]; ok {
			return fmt.Errorf("id %d belongs to two tokens, %q and %q", id, piece, token)
		}
		t.tokens[token] = int32(id)
		t.pieces[int32(id)] = unstand(token, byStandIn)
	}
	return nil
}

// setBytes finds the token of each byte. Without one, the tokenizers library
// drops the byte silently; nobody wants that reproduced.
func (t *Tokenizer) setBytes() error {
	for b, r := range standIns() {
		id, ok := t.tokens[string(r)]
		if !ok {
			return fmt.Errorf("no token stands for the byte 0x%02x (%q)", b, string(r))
		}
		t.bytes[b] = id
	}
	return nil
}

func (t *Tokenizer) setMerges(all []mergePair) error {
	for rank, p := range all {
		var ids [3]int32
		for i, token := range []string{p[0], p[1], p[0] + p[1]} {
			id, ok := t.tokens[token]
			if !ok {
				return fmt.Errorf("merge %d (%q %q) needs the token %q, which the vocabulary lacks", rank, p[0], p[1], token)
			}
			ids[i] = id
		}
		// Of a pair listed twice the last one counts, as in the library.
		t.merges[pair(ids[0], ids[1])] = merged{int32(rank), ids[2]}
	}
	return nil
}

// setAdded takes over the tokens that are matched as they are. vocab is the
// size of the model's vocabulary, from which the library numbers new ones.
func (t *Tokenizer) setAdded(all []addedToken, vocab int) error {
	var errs []error
	next := int64(vocab)
	seen := map[string]bool{}
	for _, a := range all {
		if a.Content == "" || seen[a.Content] {
			continue
		}
		seen[a.Content] = true
		if a.SingleWord || a.LStrip || a.RStrip {
			errs = append(errs, fmt.Errorf("added token %q: single_word, lstrip and rstrip are not supported", a.Content))
		}
		id, known := t.tokens[a.Content]
		want := next
		if known {
			want = int64(id)
		}
		if a.ID != want || a.ID > maxID {
			errs = append(errs, fmt.Errorf("added token %q has the id %d, its place in the vocabulary is %d", a.Content, a.ID, want))
			continue
		}
		next = max(next, a.ID+1)
		level := 0
		if a.Normalized {
			level = 1
		}
		t.added[level] = append(t.added[level], added{a.Content, int32(a.ID)})
		t.pieces[int32(a.ID)] = a.Content
	}
	return errors.Join(errs...)
}
