package explain

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Evidence is a line of the log.
type Evidence struct {
	Line  int    `json:"line"`
	Text  string `json:"text"`
	Count int    `json:"count"` // how often it was seen with the same names and numbers
}

// Finding is a message that a pattern knows.
type Finding struct {
	ID         string            `json:"id"`
	Title      string            `json:"title"`
	Severity   Severity          `json:"severity"`
	Class      Class             `json:"class"`
	Root       bool              `json:"root"` // nothing else in the log explains it
	Cause      string            `json:"cause"`
	Fix        string            `json:"fix"`
	Evidence   Evidence          `json:"evidence"`
	Fields     map[string]string `json:"fields,omitempty"`
	More       int               `json:"more,omitempty"`    // further lines of this pattern, whose names and numbers were not kept
	Follows    string            `json:"follows,omitempty"` // the id of the finding that explains it
	Correction *Correction       `json:"correction,omitempty"`

	pattern *Pattern
	own     bool // the fix is for the log's tool
	last    int  // the line where it was seen last
}

// suit gives the fix of the log's tool, where that has its own.
func (f *Finding) suit(tools []string) {
	for _, tool := range tools {
		if own := f.pattern.FixFor[tool]; own != nil {
			f.Fix, f.own = fill(own, f.Fields), true
			return
		}
	}
}

// key tells matches apart by what their groups hold. Most matches of a large log
// are repeats, which need no more than this.
func key(p *Pattern, re *regexp.Regexp, text string, at []int) string {
	b := append(make([]byte, 0, 128), p.ID...)
	for i := range re.SubexpNames() {
		if i > 0 && at[2*i] >= 0 {
			b = append(append(b, 0), text[at[2*i]:at[2*i+1]]...)
		}
	}
	return string(b)
}

func (s *scan) note(p *Pattern, number int, quote, key string, extract func() map[string]string) {
	if f := s.at[key]; f != nil {
		f.Evidence.Count++
		f.last = number
		return
	}
	if s.each[p] > maxEach {
		s.newest(p).More++
		return
	}
	fields := extract()
	for _, f := range s.findings {
		if f.pattern == p && maps.Equal(f.Fields, fields) { // the same, written otherwise
			f.Evidence.Count++
			f.last = number
			return
		}
	}
	if s.each[p]++; s.each[p] > maxEach {
		s.newest(p).More++
		return
	}
	f := &Finding{ID: p.ID, Title: p.Title, Severity: p.Severity, Class: p.Class, Fields: fields, pattern: p, last: number,
		Cause: fill(p.Cause, fields), Fix: fill(p.Fix, fields), Evidence: Evidence{Line: number, Text: around(quote, p), Count: 1}}
	s.at[key] = f
	s.findings = append(s.findings, f)
}

func (s *scan) newest(p *Pattern) *Finding {
	for i := len(s.findings) - 1; i >= 0; i-- {
		if s.findings[i].pattern == p {
			return s.findings[i]
		}
	}
	return nil
}

// around is the line as it stands. Of one that is too long to quote it is the
// beginning, which says who wrote it and when, and what was found.
func around(line string, p *Pattern) string {
	if len(line) <= maxQuote {
		return quoted(line, maxQuote)
	}
	for _, l := range p.literals {
		if i := strings.Index(line, l); i > maxQuote/2 {
			return quoted(line[:maxHead]+" ... "+line[i-maxQuote/4:], maxQuote)
		}
	}
	return quoted(line, maxQuote)
}

// quoted is at most n bytes of a line without its control characters.
func quoted(line string, n int) string {
	return printable(strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?")), n)
}

var numbers = regexp.MustCompile(`\d+|0x[0-9a-f]+`)

// remember keeps a line that looks like an error, once for all that differ in
// their numbers only.
func (s *scan) remember(number int, line []byte) {
	text := quoted(string(line[:min(len(line), maxUnread+utf8.UTFMax)]), maxUnread)
	key := numbers.ReplaceAllString(text, "0")
	if e := s.unknown[key]; e != nil {
		e.Count++
		return
	}
	if len(s.unknowns) == maxUnknown {
		s.missed++
		return
	}
	e := &Evidence{Line: number, Text: text, Count: 1}
	s.unknown[key] = e
	s.unknowns = append(s.unknowns, e)
}

// forget takes back a line that turned out to begin a message that is known.
func (s *scan) forget(number int) {
	i := slices.IndexFunc(s.unknowns, func(e *Evidence) bool { return e.Line == number && e.Count == 1 })
	if i < 0 {
		return
	}
	delete(s.unknown, numbers.ReplaceAllString(s.unknowns[i].Text, "0"))
	s.unknowns = slices.Delete(s.unknowns, i, i+1)
}
