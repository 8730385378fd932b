package syntax

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// Bounds on a text that nobody vouches for.
const (
	maxText     = 8 << 20 // bytes; 10,000 inputs in six profiles are 3 MB
	maxItems    = 400_000 // NAME:SHAPE in all
	maxSizes    = 64      // of one item: values of a shape tensor; a shape has 8 at most
	maxProfiles = 1024
	maxErrors   = 50 // shown; the rest are counted
)

// reader holds a text and everything that is wrong with it.
type reader struct {
	text  string
	errs  []error
	more  int // errors beyond those shown
	items int
	loose bool // what is uneven is no error
}

func tooLong(text string) error {
	return fault.New(fault.Input, "reading profiles", "", fmt.Sprintf("%d bytes are more than any profile needs; %d are read", len(text), maxText), "")
}

func read(text string, loose bool, parse func(*reader) []profiles.Profile) ([]profiles.Profile, error) {
	if len(text) > maxText {
		return nil, tooLong(text)
	}
	r := &reader{text: text, loose: loose}
	all := parse(r)
	if len(r.errs) == 0 && len(all) == 0 {
		r.bad(0, "it holds no profile", "")
	}
	if r.more > 0 {
		r.errs = append(r.errs, fault.New(fault.Input, "reading profiles", "", fmt.Sprintf("and %d more like these", r.more), ""))
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// bad notes an error at a byte of the text.
func (r *reader) bad(at int, cause, fix string) {
	if len(r.errs) == maxErrors {
		r.more++
		return
	}
	r.errs = append(r.errs, fault.New(fault.Input, "reading profiles", r.place(at), cause, fix))
}

// uneven notes what is well formed and lacks a part, unless that is to be read as
// it stands. It tells whether it was noted.
func (r *reader) uneven(at int, cause, fix string) bool {
	if !r.loose {
		r.bad(at, cause, fix)
	}
	return !r.loose
}

// place is a position in words. Columns count characters from 1.
func (r *reader) place(at int) string {
	before := r.text[:min(max(at, 0), len(r.text))]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("at line %d, column %d", line, column)
}

// value is text as a tool sees it, after quotes and escapes, with the place of
// each of its bytes.
type value struct {
	s   string
	at  []int32
	end int // where it ends, in the reader's text
}

// plainValue is a stretch of the text as it stands.
func (r *reader) plainValue(from, to int) value {
	at := make([]int32, to-from)
	for i := range at {
		at[i] = int32(from + i)
	}
	return value{r.text[from:to], at, to}
}

// pos is the place of byte i.
func (v value) pos(i int) int {
	if i < len(v.at) {
		return int(v.at[i])
	}
	return v.end
}

// slice is a part of v.
func (v value) slice(i, j int) value { return value{v.s[i:j], v.at[i:j], v.pos(j)} }

// split cuts v at every sep.
func (v value) split(sep byte) []value {
	var all []value
	for {
		i := strings.IndexByte(v.s, sep)
		if i < 0 {
			return append(all, v)
		}
		all = append(all, v.slice(0, i))
		v = v.slice(i+1, len(v.s))
	}
}

// builder makes a value of bytes that stand, or are written as an escape, at
// places of the text.
type builder struct {
	b  []byte
	at []int32
}

func (b *builder) add(s string, at int) {
	b.b = append(b.b, s...)
	for range len(s) {
		b.at = append(b.at, int32(at))
	}
}

func (b *builder) value(end int) value { return value{string(b.b), b.at, end} }
