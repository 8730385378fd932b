package explain

import (
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	p := &printer{w: w, written: map[string]string{}}
	seen := map[string]int{}
	for _, f := range r.Roots() {
		seen[f.ID]++
		if seen[f.ID] > 1 {
			continue
		}
		if len(seen) > 1 {
			p.line("")
		}
		p.root(f)
		p.others(f, r)
	}
	p.rest(r)
	if len(r.Unknown) > 0 {
		p.unknown(r)
	}
	switch {
	case r.Failed() || r.Root() != nil:
	case len(r.Tools)+len(r.Findings) == 0:
		p.line("no tool's output was recognised in %d lines", r.Lines)
	default:
		p.line("nothing wrong found in %d lines", r.Lines)
	}
	return p.err
}

type printer struct {
	w       io.Writer
	err     error
	written map[string]string // the corrected profiles that stand above, and for which cause
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) root(f *Finding) {
	p.line("%s: %s (%s)", f.Severity, f.Title, f.ID)
	p.line("  cause  %s", f.Cause)
	p.line("  line %d%s  %s", f.Evidence.Line, times(f.Evidence.Count), f.Evidence.Text)
	p.line("  fix    %s", f.Fix)
	if c := f.Correction; c != nil {
		p.correction(f.ID, c)
	}
}

// maxOthers bounds what is shown of one cause with other names and numbers: a
// decode loop fails at every length.
const maxOthers = 3

// others are the same cause with other names and numbers.
func (p *printer) others(first *Finding, r *Report) {
	shown, left := 0, first.More
	for _, f := range r.Roots() {
		if f == first || f.ID != first.ID {
			continue
		}
		if left += f.More; shown == maxOthers {
			left += f.Evidence.Count
			continue
		}
		shown++
		p.line("  also   line %d%s  %s", f.Evidence.Line, times(f.Evidence.Count), f.Cause)
	}
	if left > 0 {
		p.line("  also   %d lines more", left)
	}
}

// correction is written once: what several causes need in common is one change.
func (p *printer) correction(id string, c *Correction) {
	for _, n := range c.Notes {
		p.line("  note   %s", n)
	}
	if first := p.written[c.After]; c.After != "" && first != "" {
		p.line("  after (%s)  the same profiles as for %s above", c.Syntax, first)
		return
	}
	for _, ch := range c.Changes {
		p.line("  change %s", ch)
	}
	if c.After == "" {
		return
	}
	p.written[c.After] = id
	p.line("  after (%s)", c.Syntax)
	p.block(apart(c.After))
}

// apart gives each flag of a command a line of its own, as a shell still reads it.
func apart(text string) string {
	flag := func(s string) bool { return strings.HasPrefix(s, "--") || strings.HasPrefix(s, "'--") }
	if !flag(text) {
		return text
	}
	var b strings.Builder
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote == 0 && text[i] == ' ' && flag(text[i+1:]):
			b.WriteString(" \\\n")
			continue
		case c == '\\' && quote != '\'' && i+1 < len(text):
			b.WriteByte(c)
			i++
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func (p *printer) block(text string) {
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		p.line("    %s", l)
	}
}

// rest is what is no root: what followed from it, and what is harmless.
func (p *printer) rest(r *Report) {
	for _, group := range []struct {
		title string
		of    func(*Finding) bool
	}{
		{"follows from it:", func(f *Finding) bool { return f.Follows != "" }},
		{"also seen:", func(f *Finding) bool {
			return !f.Root && f.Follows == "" && (f.Severity == Warning || f.Severity == Error)
		}},
		{"benign, needs nothing:", func(f *Finding) bool { return f.Severity == Benign }},
		{"good to know:", func(f *Finding) bool { return f.Severity == Info }},
	} {
		shown := map[string]bool{}
		for _, f := range r.Findings {
			if !group.of(f) || f.Root || shown[f.ID] {
				continue
			}
			if len(shown) == 0 {
				p.line("%s", group.title)
			}
			shown[f.ID] = true
			p.line("  line %d%s  %s (%s)", f.Evidence.Line, times(f.Evidence.Count), f.Title, f.ID)
			if f.Follows == "" {
				p.line("    %s", f.Cause)
			}
		}
	}
}

func (p *printer) unknown(r *Report) {
	p.line("not known to trtforge:")
	for _, e := range r.Unknown {
		p.line("  line %d%s  %s", e.Line, times(e.Count), e.Text)
	}
	if r.UnknownMore > 0 {
		p.line("  and %d lines more", r.UnknownMore)
	}
}

func times(n int) string {
	if n > 1 {
		return fmt.Sprintf(" (%d times)", n)
	}
	return ""
}
