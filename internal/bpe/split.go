package bpe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what GPT-2's pattern distinguishes.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return ascii(byte(r))
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r): // White_Space, which is \s with Unicode on
		return space
	}
	return newerClass(r)
}

func ascii(b byte) class {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z':
		return letter
	case '0' <= b && b <= '9':
		return number
	case b == ' ', '\t' <= b && b <= '\r':
		return space
	}
	return other
}

// word is the length in bytes of the first match in s, not empty, of
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// which matches everywhere, so words lie side by side. It is written out because
// Go's regexp has no lookahead.
func word(s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	c, at := classAt(s, 0)
	if s[0] == ' ' && len(s) > 1 {
		if next, end := classAt(s, 1); next != space {
			c, at = next, end
		}
	}
	if c == space {
		return blank(s)
	}
	for at < len(s) {
		next, end := classAt(s, at)
		if next != c {
			break
		}
		at = end
	}
	return at
}

// blank is \s+(?!\S)|\s+ : all white space, less the last character if
// something follows, unless that is all there is.
func blank(s string) int {
	last, at := 0, 0
	for at < len(s) {
		c, end := classAt(s, at)
		if c != space {
			break
		}
		last, at = at, end
	}
	if at < len(s) && last > 0 {
		return last
	}
	return at
}

// classAt is the class of the character at byte at, and where it ends.
func classAt(s string, at int) (class, int) {
	if b := s[at]; b < utf8.RuneSelf {
		return ascii(b), at + 1
	}
	r, n := utf8.DecodeRuneInString(s[at:])
	return classOf(r), at + n
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the front of s.
func contraction(s string) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	if strings.IndexByte("stmd", s[1]) >= 0 {
		return 2
	}
	if len(s) > 2 && (s[1:3] == "re" || s[1:3] == "ve" || s[1:3] == "ll") {
		return 3
	}
	return 0
}
