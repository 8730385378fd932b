package bpe

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trtforge/trtforge/internal/fault"
)

// Tokenizer is a loaded tokenizer. It is not changed by use, so any number of
// goroutines may share it.
type Tokenizer struct {
	tokens       map[string]int32  // by the text of vocab.json, bytes as GPT-2's printable stand-ins
	pieces       map[int32]string  // the bytes of each token, for Decode
	bytes        [256]int32        // the token of each single byte
	merges       map[uint64]merged // by pair
	added        [2][]added        // found in the text before it is split: first the exact ones, then the normalised
	prefixSpace  bool              // a space goes before every stretch that has none
	ignoreMerges bool              // a word that is a token needs no merges
}

// merged is what becomes of a pair of tokens, and how soon.
type merged struct{ rank, id int32 }

// added is a token that is matched in the text as it is.
type added struct {
	text string
	id   int32
}

func pair(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// Encode is the ids of a text, which must be UTF-8.
func (t *Tokenizer) Encode(text string) ([]int, error) {
	if !utf8.ValidString(text) {
		return nil, fault.New(fault.Input, "tokenizing", "text", fmt.Sprintf("it is not UTF-8: byte %d", invalidAt(text)), "convert the text to UTF-8")
	}
	e := encoder{Tokenizer: t, cache: map[string][]int32{}, ids: make([]int, 0, len(text)/3)}
	e.stretch(text, 0)
	return e.ids, nil
}

func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
	}
	return len(text)
}

// Decode is the bytes of the ids' tokens one after the other, special tokens
// included; they need not be UTF-8. An id without a token is an error.
func (t *Tokenizer) Decode(ids []int) (string, error) {
	var b strings.Builder
	for i, id := range ids {
		piece, ok := t.pieces[int32(id)]
		if !ok || int(int32(id)) != id {
			return "", fault.New(fault.Input, "decoding tokens", fmt.Sprintf("position %d", i), fmt.Sprintf("no token has the id %d", id), "give the tokenizer that belongs to the model")
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

// encoder is one call of Encode. Words repeat, so their ids are kept.
type encoder struct {
	*Tokenizer
	cache map[string][]int32
	merge merger
	ids   []int
}

// limits of the cache, a few MiB.
const (
	maxCached     = 1 << 16
	maxCachedWord = 64
)

// stretch encodes text: added tokens of this level are taken out of it, what
// lies between goes to the next level, and from the last level to words.
func (e *encoder) stretch(text string, level int) {
	if text == "" {
		return
	}
	if level == len(e.added) {
		e.words(text)
		return
	}
	begin := 0
	for at := 0; at < len(text); {
		hit := longest(e.added[level], text[at:])
		if hit == nil {
			at++
			continue
		}
		e.stretch(text[begin:at], level+1)
		e.ids = append(e.ids, int(hit.id))
		at += len(hit.text)
		begin = at
	}
	e.stretch(text[begin:], level+1)
}

// longest is the longest added token at the front of text. There are few, and
// their first byte is mostly rare, so a list serves.
func longest(all []added, text string) *added {
	var best *added
	for i := range all {
		if strings.HasPrefix(text, all[i].text) && (best == nil || len(all[i].text) > len(best.text)) {
			best = &all[i]
		}
	}
	return best
}

// words splits text and encodes word by word.
func (e *encoder) words(text string) {
	if e.prefixSpace && text[0] != ' ' {
		text = " " + text
	}
	for len(text) > 0 {
		n := word(text)
		e.word(text[:n])
		text = text[n:]
	}
}

func (e *encoder) word(w string) {
	ids, ok := e.cache[w]
	if !ok {
		ids = e.merge.run(e.Tokenizer, w)
		if len(w) <= maxCachedWord && len(e.cache) < maxCached {
			ids = append([]int32(nil), ids...)
			e.cache[w] = ids
		}
	}
	for _, id := range ids {
		e.ids = append(e.ids, int(id))
	}
}
