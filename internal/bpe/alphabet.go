package bpe

import "strings"

// standIns is GPT-2's printable character for each byte: itself where it is a
// printable Latin-1 character, else the next free one from U+0100.
func standIns() [256]rune {
	var all [256]rune
	free := rune(256)
	for b := range all {
		if '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b {
			all[b] = rune(b)
			continue
		}
		all[b] = free
		free++
	}
	return all
}

// standIn is the form that a word has in vocab.json.
func standIn(word string) string {
	alphabet := standIns()
	var b strings.Builder
	for i := range len(word) {
		b.WriteRune(alphabet[word[i]])
	}
	return b.String()
}

// unstand is the bytes of a token of vocab.json. A token with characters that
// stand for no byte decodes to itself.
func unstand(token string, byStandIn map[rune]byte) string {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, ok := byStandIn[r]
		if !ok {
			return token
		}
		b = append(b, c)
	}
	return string(b)
}
