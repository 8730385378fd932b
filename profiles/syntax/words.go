package syntax

import (
	"fmt"
	"strings"
)

// word is an argument as a shell passes it on.
type word struct {
	value
	first bool // a new command may begin here: after a line's end, ; | or &
	shell bool // it holds a $ or a `, or is an f-string, that only its program can fill in
	open  bool // its quote does not end on its line
}

// words cuts text into arguments the way a POSIX shell does: quotes, backslashes,
// lines continued by a backslash, comments. A quote ends with its line, for what
// stands around a command may be prose with an apostrophe in it. The literals of a
// list, as in Python's ["trtexec", "--profile=0"], are words too.
func (r *reader) words() []word {
	var all []word
	first := true
	for p := 0; p < len(r.text); {
		if len(all) > maxItems {
			r.bad(p, fmt.Sprintf("more than %d words", maxItems), "")
			return nil
		}
		switch c := r.text[p]; {
		case c == '\\' && newline(r.text, p+1) > 0:
			p += 1 + newline(r.text, p+1)
		case c == '\n' || c == ';' || c == '|' || c == '&':
			first = true
			p++
		case c == ' ' || c == '\t' || c == '\r':
			p++
		case c == '#':
			p = lineEnd(r.text, p)
		case strings.IndexByte("[(,", c) >= 0 && p+1 < len(r.text) && strings.IndexByte("'\" \n", r.text[p+1]) >= 0:
			p++
			first = false // inside a list a new line begins no command
		default:
			w, next := r.word(p)
			w.first = first
			all, first, p = append(all, w), false, next
		}
	}
	return all
}

// word reads the one that begins at p.
func (r *reader) word(p int) (w word, next int) {
	var b builder
	defer func() { w.value = b.value(min(next, len(r.text))) }()
	if n := prefixed(r.text, p); n > 0 && strings.HasPrefix(r.text[p+n+1:], "--") {
		w.shell = strings.ContainsAny(r.text[p:p+n], "fF")
		p += n // a literal of Python
	}
	quoted := quoteAt(r.text, p)
	for p < len(r.text) {
		switch c := r.text[p]; c {
		case ' ', '\t', '\r', '\n', ';', '|', '&':
			return w, p
		case '\'', '"':
			p = r.quoted(&w, &b, p)
			if quoted && listEnds(r.text, p) {
				return w, p + 1
			}
		case '\\':
			if n := newline(r.text, p+1); n > 0 {
				p += 1 + n
			} else if p+1 < len(r.text) {
				b.add(r.text[p+1:p+2], p)
				p += 2
			} else {
				p++
			}
		case '$', '`':
			w.shell = true
			fallthrough
		default:
			b.add(r.text[p:p+1], p)
			p++
		}
	}
	return w, p
}

// quoted reads what stands between quotes and gives the place after it.
func (r *reader) quoted(w *word, b *builder, p int) int {
	quote := r.text[p]
	for p++; p < len(r.text) && r.text[p] != '\n'; p++ {
		c := r.text[p]
		switch {
		case c == quote:
			return p + 1
		case quote == '"' && c == '\\' && p+1 < len(r.text) && strings.IndexByte("\\\"$`", r.text[p+1]) >= 0:
			p++
			b.add(r.text[p:p+1], p-1)
			continue
		case quote == '"' && (c == '$' || c == '`'):
			w.shell = true
		}
		b.add(r.text[p:p+1], p)
	}
	w.open = true
	return p
}

// listEnds tells whether a literal of a list ends at p: a comma or a bracket that
// nothing but space, another literal or a bracket follows.
func listEnds(text string, p int) bool {
	if p >= len(text) || strings.IndexByte(",])", text[p]) < 0 {
		return false
	}
	return p+1 == len(text) || strings.IndexByte(" \t\r\n'\"]),", text[p+1]) >= 0
}

// newline is the length of the line's end at p, or 0.
func newline(text string, p int) int {
	switch {
	case strings.HasPrefix(text[min(p, len(text)):], "\n"):
		return 1
	case strings.HasPrefix(text[min(p, len(text)):], "\r\n"):
		return 2
	}
	return 0
}

func lineEnd(text string, p int) int {
	if i := strings.IndexByte(text[p:], '\n'); i >= 0 {
		return p + i
	}
	return len(text)
}

// shellQuote writes s so that a POSIX shell passes it on as it is.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// inside cuts words that are command lines themselves, as NAME="--minShapes=..." or
// bash -c "trtexec ...", into their words. flags are what makes them worth it.
func (r *reader) inside(words []word, flags [3]string) []word {
	var all []word
	for _, w := range words {
		nested := strings.ContainsAny(w.s, " \t") && !strings.HasPrefix(w.s, "-") &&
			(strings.Contains(w.s, flags[0]) || strings.Contains(w.s, flags[1]) || strings.Contains(w.s, flags[2]))
		if !nested {
			all = append(all, w)
			continue
		}
		if name, _, ok := strings.Cut(w.s, "="); ok && strings.IndexFunc(name, func(c rune) bool { return c > 0x7f || !wordByte(byte(c)) }) < 0 {
			w.value = w.slice(len(name)+1, len(w.s))
		}
		sub := &reader{text: w.s}
		for _, in := range sub.words() {
			for i, at := range in.at {
				in.at[i] = int32(w.pos(int(at)))
			}
			in.end = w.pos(in.end)
			all = append(all, in)
		}
	}
	return all
}

// sound tells whether a word means what it says, and notes why not.
func (r *reader) sound(w word) bool {
	switch {
	case w.open:
		r.bad(w.pos(0), "a quote does not end on its line", "")
	case w.shell:
		r.bad(w.pos(0), "it holds a variable, which only the program can fill in", "expand it first, as with `set -x` or echo")
	default:
		return true
	}
	return false
}
