package syntax

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// setting is an option and its value as it was found in a text.
type setting struct {
	value
	key    string
	key0   int  // where the key stands
	failed bool // it has a value, which was reported
}

// option is what any option of the providers looks like; a list of such names is
// no setting.
var option = regexp.MustCompile(`^(trt|nv)_[a-z0-9_]+$`)

// settings finds the values that a text gives to keys: KEY=VALUE, KEY: VALUE,
// KEY|VALUE (onnxruntime_perf_test), {"KEY", "VALUE"} (C++), x["KEY"] = "VALUE",
// key: "KEY" value: "VALUE" (protobuf text). A key that nothing follows is a mention
// and passes. A key set twice to different values is an error.
func (r *reader) settings(keys [3]string) (all [3]setting) {
	for k, key := range keys {
		for p := 0; p < len(r.text); {
			i := strings.Index(r.text[p:], key)
			if i < 0 {
				break
			}
			at := p + i
			p = at + len(key)
			if !bounded(r.text, at, p) || commented(r.text, at) {
				continue
			}
			before := len(r.errs) + r.more
			v, ok := r.assigned(at, p)
			failed := len(r.errs)+r.more > before
			switch {
			case !ok && !failed:
			case all[k].key == "":
				all[k] = setting{v, key, at, failed}
			case failed || all[k].failed:
			case all[k].s != v.s:
				r.bad(at, fmt.Sprintf("%s is set twice, to different values", key), "keep one, or give the part of the text that is meant")
			}
			p = max(p, v.end)
		}
	}
	return all
}

// bounded tells whether text[from:to] is a whole word.
func bounded(text string, from, to int) bool {
	return (from == 0 || !wordByte(text[from-1])) && (to == len(text) || !wordByte(text[to]))
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// hasWord tells whether a text holds a whole word outside comments.
func hasWord(text, w string) bool {
	for p := 0; ; {
		i := strings.Index(text[p:], w)
		if i < 0 {
			return false
		}
		at := p + i
		p = at + len(w)
		if bounded(text, at, p) && !commented(text, at) {
			return true
		}
	}
}

// commented tells whether a place is in a comment of its line: # outside quotes,
// at the line's beginning or after a space, or a line that begins with // or ;.
func commented(text string, at int) bool {
	line := text[strings.LastIndexByte(text[:at], '\n')+1 : at]
	if len(line) > 1<<12 {
		return false // a line as long as that is no code with a comment
	}
	if start := strings.TrimSpace(line); strings.HasPrefix(start, "//") || strings.HasPrefix(start, ";") {
		return true
	}
	var quote byte
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0 && c == '\\':
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return true
		}
	}
	return false
}

// skip gives the first place from p on that holds none of the characters.
func (r *reader) skip(p int, cut string) int {
	for p < len(r.text) && strings.IndexByte(cut, r.text[p]) >= 0 {
		p++
	}
	return p
}

const space = " \t\r\n"

// assigned reads what a key gets, whose name stands at [at, p). ok is false for a
// mention, and for a value that was reported.
func (r *reader) assigned(at, p int) (v value, ok bool) {
	inQuotes := quoteAt(r.text, p) && r.opens(at, r.text[p])
	if inQuotes {
		p++
		if q, found := r.pbtxtValue(p); found {
			return r.literal(q)
		}
	}
	start := p
	p = r.skip(p, " \t")
	spaced := p > start
	if p < len(r.text) && r.text[p] == ']' {
		p = r.skip(p+1, " \t")
	}
	if p >= len(r.text) || strings.IndexByte("=:|,", r.text[p]) < 0 || strings.HasPrefix(r.text[p:], "==") {
		return value{}, false
	}
	sep := r.text[p]
	p++
	if !inQuotes && sep == '=' {
		return r.shellValue(p, spaced)
	}
	cut := " \t"
	if inQuotes || sep == ':' {
		cut = space
	}
	p = r.skip(p, cut)
	if p < len(r.text) && r.text[p] == '(' {
		p = r.skip(p+1, space)
	}
	if sep == ',' {
		if !quoteAt(r.text, p) {
			return value{}, false
		}
		v, ok = r.literal(p)
		return v, ok && !option.MatchString(v.s)
	}
	if n := prefixed(r.text, p); n > 0 || quoteAt(r.text, p) {
		return r.literal(p)
	}
	return r.bare(p)
}

// opens tells whether a quoted name stands at a place: the quote right before it, or
// before a dotted prefix as that of a session's ep.nvtensorrtrtxexecutionprovider.nv_*.
func (r *reader) opens(at int, quote byte) bool {
	for at--; at >= 0; at-- {
		if c := r.text[at]; !wordByte(c) && c != '.' {
			return c == quote
		}
	}
	return false
}

// pbtxtValue is the place of the string in `value: "..."` or
// `value: { string_value: "..." }` after a key of protobuf text.
func (r *reader) pbtxtValue(p int) (int, bool) {
	p = r.skip(p, space+",;")
	for _, name := range []string{"value", "string_value"} {
		if !strings.HasPrefix(r.text[p:], name) {
			return 0, false
		}
		p = r.skip(p+len(name), space+":")
		if quoteAt(r.text, p) {
			return p, true
		}
		p = r.skip(p, "{"+space)
	}
	return 0, false
}

func quoteAt(text string, p int) bool {
	return p < len(text) && (text[p] == '"' || text[p] == '\'')
}

// prefixed is the length of a Python literal's prefix at p.
func prefixed(text string, p int) int {
	n := 0
	for n < 2 && p+n < len(text) && strings.IndexByte("rRbBuUfF", text[p+n]) >= 0 {
		n++
	}
	if n > 0 && quoteAt(text, p+n) {
		return n
	}
	return 0
}

// shellValue reads what follows KEY= as a shell would, and KEY = VALUE, which is no
// shell's, as a configuration file.
func (r *reader) shellValue(p int, spaced bool) (value, bool) {
	q := r.skip(p, " \t")
	switch {
	case prefixed(r.text, q) > 0, q > p && quoteAt(r.text, q):
		return r.literal(q)
	case spaced:
		return r.bare(q)
	}
	if p >= len(r.text) || strings.IndexByte(space+";&|", r.text[p]) >= 0 {
		return value{end: p}, true // set to nothing
	}
	w, _ := r.word(p)
	return w.value, r.sound(w)
}

// bare reads a value without quotes, up to a space or a quote.
func (r *reader) bare(p int) (value, bool) {
	end := p
	for end < len(r.text) && strings.IndexByte(space+"\"'`<>", r.text[end]) < 0 {
		end++
	}
	for end > p && strings.IndexByte(";,", r.text[end-1]) >= 0 {
		end--
	}
	v := r.plainValue(p, end)
	if strings.Contains(v.s, "$") {
		r.bad(p+strings.IndexByte(v.s, '$'), "it holds a $ that only a shell can fill in", "expand it first")
		return v, false
	}
	return v, true
}

// literal reads string literals of Python, JSON, C++ or protobuf text at p: with
// escapes, raw, tripled, several in a row. What only an interpreter can work out is
// refused.
func (r *reader) literal(p int) (value, bool) {
	var b builder
	for {
		start := p
		n := prefixed(r.text, p)
		prefix := strings.ToLower(r.text[p : p+n])
		next, ok := r.oneLiteral(&b, p+n, strings.Contains(prefix, "r"))
		if strings.Contains(prefix, "f") {
			r.bad(start, "an f-string is filled in by Python", "print it and give its value")
			ok = false
		}
		p = next
		if !ok {
			return b.value(p), false
		}
		q := r.skip(p, space+"\\")
		if !quoteAt(r.text, q) && prefixed(r.text, q) == 0 {
			if q < len(r.text) && strings.IndexByte("+%.*", r.text[q]) >= 0 {
				r.bad(q, "an expression stands where a string is wanted", "print it and give its value")
				return b.value(p), false
			}
			return b.value(p), true
		}
		p = q
	}
}

// oneLiteral reads the literal whose quote is at p.
func (r *reader) oneLiteral(b *builder, p int, raw bool) (next int, ok bool) {
	start, quote := p, r.text[p:p+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(r.text[p:], triple) {
		quote = triple
	}
	for p += len(quote); p < len(r.text); {
		switch c := r.text[p]; {
		case strings.HasPrefix(r.text[p:], quote):
			return p + len(quote), true
		case c == '\n' && len(quote) == 1:
			r.bad(start, "the string does not end on its line", "")
			return p, false
		case c == '\\' && !raw:
			s, n := escape(r.text[p:])
			if n == 0 {
				r.bad(p, fmt.Sprintf("the escape %q is not understood", clip(r.text[p:min(p+2, len(r.text))])), "")
				return p + 1, false
			}
			b.add(s, p)
			p += n
		default:
			b.add(r.text[p:p+1], p)
			p++
		}
	}
	r.bad(start, "the string does not end", "")
	return p, false
}

// escape reads the escape at the beginning of s, of n bytes; 0 = none that has one
// meaning in all the languages.
func escape(s string) (out string, n int) {
	if len(s) < 2 {
		return "", 0
	}
	if i := strings.IndexByte(`\'"/nrt`, s[1]); i >= 0 {
		return "\\'\"/\n\r\t"[i : i+1], 2
	}
	if nl := newline(s, 1); nl > 0 {
		return "", 1 + nl
	}
	digits := map[byte]int{'u': 4, 'U': 8}[s[1]]
	if digits == 0 || len(s) < 2+digits {
		return "", 0
	}
	var c rune
	for _, d := range []byte(s[2 : 2+digits]) {
		h := strings.IndexByte("0123456789abcdef", d|0x20)
		if h < 0 || d < '0' || c > utf8.MaxRune {
			return "", 0
		}
		c = c<<4 | rune(h)
	}
	if !utf8.ValidRune(c) {
		return "", 0 // half of a surrogate pair, as JSON writes rare characters
	}
	return string(c), 2 + digits
}
