package explain

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Bounds of what is kept of a log.
const (
	maxEach     = 16      // different findings of one pattern
	maxTries    = 100_000 // regular expressions run for one pattern; later lines are only counted
	maxUnknown  = 8       // different lines that look like errors and that no pattern knows
	maxQuote    = 2 << 10 // bytes of a quoted line; of a longer one, its beginning and what was found
	maxHead     = 200     // bytes of that beginning
	maxUnread   = 400     // bytes of a quoted line that no pattern knows
	maxJoined   = 8 << 10 // bytes of a message over several lines
	maxPending  = 64      // messages that wait for their next lines at one time
	joinedLines = 3       // a message that was wrapped is looked for in so many lines
	maxBefore   = 1 << 10 // bytes of the line above that are kept for it
)

// Scanner reads logs against a set of patterns. It may be used by many at once.
type Scanner struct {
	patterns []*Pattern
	filter   *filter
}

// NewScanner prepares patterns, of [Patterns] or of one's own.
func NewScanner(patterns []*Pattern) *Scanner {
	s := &Scanner{patterns: patterns, filter: newFilter()}
	for i, p := range patterns {
		for _, l := range p.literals {
			s.filter.add(l, i)
		}
	}
	for i, m := range marks {
		s.filter.add(m.text, len(patterns)+i)
	}
	return s
}

// Read explains a log with the patterns of this program. What it cannot read, an
// empty log and a binary file are errors of class input; a log that nothing is
// known of is not, see [Report.Explained].
func Read(r io.Reader, c Context) (*Report, error) {
	s, err := carried()
	if err != nil {
		return nil, err
	}
	return s.Read(r, c)
}

// Read explains a log.
func (s *Scanner) Read(r io.Reader, c Context) (*Report, error) {
	run := &scan{s: s, each: map[*Pattern]int{}, tried: make([]int, len(s.patterns)), at: map[string]*Finding{}, unknown: map[string]*Evidence{}, tools: map[string]int{}}
	in := newLines(r)
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Input, "reading log", c.Log, err, "check that it is a file that can be read")
		}
		run.line(in.number, line)
	}
	for _, p := range run.pending {
		run.finish(p)
	}
	if err := in.kind.refuse(c.Log, len(run.findings) > 0); err != nil {
		return nil, err
	}
	return run.report(in, c), nil
}

// scan is one pass over a log.
type scan struct {
	s        *Scanner
	findings []*Finding
	at       map[string]*Finding // by what the groups of a match hold
	each     map[*Pattern]int
	tried    []int
	pending  []*pending
	unknown  map[string]*Evidence
	unknowns []*Evidence
	missed   int // lines that look like errors beyond maxUnknown different ones
	tools    map[string]int
	hits     []int  // owners, of one line
	before   []byte // the line above
}

// pending is a message that may go on in the next lines.
type pending struct {
	owner   int
	line    int
	want    int
	suspect bool   // if it is not one, its first line is unknown
	before  string // the line above, for a message whose text stands in its second line
	text    strings.Builder
}

// line takes one line: all patterns whose text it has, the tool that it shows, and
// whether it looks like an error that no pattern knows.
func (s *scan) line(number int, line []byte) {
	s.feed(line)
	s.hits = s.hits[:0]
	suspect := glogError(line)
	s.s.filter.find(line, func(owner int) {
		if i := owner - len(s.s.patterns); i >= 0 {
			suspect = suspect || marks[i].suspect
			if marks[i].tool != "" {
				s.tools[marks[i].tool]++
			}
		} else if !slices.Contains(s.hits, owner) {
			s.hits = append(s.hits, owner)
		}
	})
	known, text := false, ""
	if len(s.hits) > 0 {
		text = string(line)
	}
	waiting := len(s.pending)
	for _, owner := range s.hits {
		known = s.try(owner, number, text) || known
	}
	switch {
	case suspect && !known && len(s.pending) > waiting:
		s.pending[waiting].suspect = true
	case suspect && !known:
		s.remember(number, line)
	}
	s.before = append(s.before[:0], line[:min(len(line), maxBefore)]...)
}

// try runs a pattern on a line that has its text. It is true where the line is
// the message; where more lines may make it one, it waits for them.
func (s *scan) try(owner, number int, text string) bool {
	p := s.s.patterns[owner]
	if s.tried[owner]++; s.tried[owner] > maxTries {
		f := s.newest(p)
		if f != nil {
			f.More++
		}
		return f != nil
	}
	if p.Lines == 1 && s.match(p, number, text, text, 0) {
		return true
	}
	if len(s.pending) == maxPending {
		return false
	}
	w := &pending{owner: owner, line: number, want: max(p.Lines, joinedLines) - 1, before: string(s.before)}
	w.text.WriteString(text)
	s.pending = append(s.pending, w)
	return false
}

// feed gives a line to the messages that wait for one.
func (s *scan) feed(line []byte) {
	if len(s.pending) == 0 {
		return
	}
	kept := s.pending[:0]
	for _, w := range s.pending {
		if w.text.Len()+len(line) < maxJoined {
			w.text.WriteByte('\n')
			w.text.Write(line)
		}
		if w.want--; w.want > 0 {
			kept = append(kept, w)
			continue
		}
		s.finish(w)
	}
	s.pending = kept
}

// finish tries a message that is whole: as it stands, and as one line, for logs
// that a terminal or a mail has wrapped.
func (s *scan) finish(w *pending) {
	p, text := s.s.patterns[w.owner], w.text.String()
	first, _, _ := strings.Cut(text, "\n")
	flat := strings.ReplaceAll(text, "\n", " ")
	switch {
	case s.match(p, w.line, text, first, 0):
	case s.match(p, w.line, flat, first, 0):
	case s.match(p, w.line, w.before+" "+flat, first, len(w.before)):
		s.forget(w.line - 1)
	case w.suspect:
		s.remember(w.line, []byte(first))
	}
}

// match notes a finding where one of the pattern's expressions matches beyond the
// first skip bytes.
func (s *scan) match(p *Pattern, number int, text, quote string, skip int) bool {
	for _, re := range p.re {
		if at := re.FindStringSubmatchIndex(text); at != nil && at[1] > skip {
			s.note(p, number, quote, key(p, re, text, at), func() map[string]string { return extract(re, text, at) })
			return true
		}
	}
	return false
}

// report is what was found, with roots, corrections and the tools in the order of
// how often they spoke.
func (s *scan) report(in *lines, c Context) *Report {
	reduce(s.findings)
	r := &Report{Kind: "explanation", SchemaVersion: SchemaVersion, Lines: in.number, Bytes: in.bytes, Findings: append([]*Finding{}, s.findings...), UnknownMore: s.missed}
	for _, e := range s.unknowns {
		r.Unknown = append(r.Unknown, *e)
	}
	r.Tools = append([]string{}, ranked(s.tools)...)
	for _, f := range s.findings {
		f.suit(r.Tools)
		f.judge()
	}
	r.sort()
	alike := map[string][]*Finding{}
	for _, f := range r.Roots() {
		alike[f.ID] = append(alike[f.ID], f)
	}
	for _, all := range alike {
		c.apply(all[0], all, r.Tools)
	}
	return r
}
