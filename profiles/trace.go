package profiles

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// TraceOptions say how a trace is read. The zero value takes lengths only and
// refuses a trace with a bad line.
type TraceOptions struct {
	// Tokens counts the tokens of a text, for traces that hold prompts rather
	// than lengths. Nil refuses them.
	Tokens func(text string) (int, error)
	// SkipBad leaves out what cannot be read, rather than refuse the trace.
	SkipBad bool
	// Positions, where above 0, leaves out requests that reach further; FeedLast
	// says whether the last token counts.
	Positions int
	FeedLast  bool
	// Each, where not nil, is told the lengths of every request that is taken.
	Each func(prompt, fresh int)
}

// Problem is what was wrong with some lines of a trace.
type Problem struct {
	Cause string `json:"cause"`
	Count int64  `json:"count"`
	Lines []int  `json:"lines"` // the first few
	Long  bool   `json:"long"`  // left out because it was asked to: no mistake of the trace
}

// String names the lines.
func (p Problem) String() string {
	list := make([]string, len(p.Lines))
	for i, n := range p.Lines {
		list[i] = fmt.Sprint(n)
	}
	noun := "line"
	if p.Count > 1 {
		noun = "lines"
	}
	text := fmt.Sprintf("%s %s: %s", noun, strings.Join(list, ", "), p.Cause)
	if more := p.Count - int64(len(p.Lines)); more > 0 {
		text = fmt.Sprintf("%s %s and %d more: %s", noun, strings.Join(list, ", "), more, p.Cause)
	}
	return text
}

// The bounds of a trace: of one line or record, of the lines named for a
// problem, and of the kinds of problem that are told apart.
const (
	maxRecord   = 16 << 20
	namedLines  = 5
	maxProblems = 20
)

// ReadTrace reads requests from JSON lines, a JSON array or CSV with a header.
// Lengths have the names that AIPerf, trtllm-bench, vLLM, OpenAI's usage, Azure's
// and BurstGPT's traces and others give them (see the table of names); a text in
// their place (prompt, messages, ShareGPT's conversations) is counted by
// Tokens. Memory does not grow with the number of requests.
//
// Lines that hold no request are told apart by cause. Unless SkipBad they are an
// error of class input; so is a trace without any request.
func ReadTrace(r io.Reader, name string, o TraceOptions) (*Requests, []Problem, error) {
	t := &tracer{o: o, out: NewRequests("trace " + name), at: map[string]int{}}
	in := bufio.NewReaderSize(r, 1<<18)
	first, err := firstByte(in)
	if err == nil {
		switch first {
		case '{':
			err = t.lines(in)
		case '[':
			err = t.array(in)
		default:
			err = t.csv(in)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		var f *fault.Error
		if errors.As(err, &f) {
			return nil, t.problems, named(f, name)
		}
		return nil, t.problems, fsx.Explain("reading trace", name, err)
	}
	return t.result(name)
}

// named is an error of a part of a trace with the trace's name.
func named(f *fault.Error, name string) error {
	at := *f
	at.Subject = strings.TrimSuffix(name+", "+f.Subject, ", ")
	return &at
}

// result is the requests, or everything that is wrong with them in one error.
func (t *tracer) result(name string) (*Requests, []Problem, error) {
	var bad []error
	for _, p := range t.problems {
		if !p.Long && !t.o.SkipBad {
			bad = append(bad, errors.New(p.String()))
		}
	}
	switch {
	case len(bad) > 0:
		return nil, t.problems, fault.Wrap(fault.Input, "reading trace", name,
			fmt.Errorf("%w (%d good requests)", errors.Join(bad...), t.out.Number), t.advice())
	case t.out.Number == 0:
		cause := "it holds no request"
		if len(t.problems) > 0 {
			cause += ": " + t.problems[0].String()
		}
		if len(t.problems) == 0 {
			return nil, nil, fault.New(fault.Input, "reading trace", name, "it is empty: it holds no request", "name a file of requests; lengths are called "+knownNames())
		}
		return nil, t.problems, fault.New(fault.Input, "reading trace", name, cause, t.advice())
	}
	return t.out, t.problems, nil
}

// advice is what to do about a trace that was refused.
func (t *tracer) advice() string {
	if t.text {
		return "give the tokenizer that counts them (--tokenizer MODEL_DIR), or lengths as " + knownNames()
	}
	if t.o.SkipBad {
		return "lengths are called " + knownNames()
	}
	return "mend the lines, or leave them out with --skip-bad; lengths are called " + knownNames()
}

// OpenTrace reads the trace at path.
func OpenTrace(path string, o TraceOptions) (*Requests, []Problem, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fsx.Explain("reading trace", path, err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, nil, fault.New(fault.Input, "reading trace", path, "is a directory", "name a file of requests")
	}
	return ReadTrace(f, path, o)
}

// Open reads the workload's trace and lengths into its requests. positions is
// the model's, for a workload that drops what is longer; 0 = not known. What was
// left out of the trace is returned.
func (w *Workload) Open(o TraceOptions, positions int) ([]Problem, error) {
	o.FeedLast, o.Positions = w.FeedLast, 0
	if w.DropLong {
		o.Positions = positions
	}
	var all []Problem
	var errs []error
	w.Requests = nil
	if w.Trace != "" {
		r, problems, err := OpenTrace(w.Trace, o)
		if all, errs = problems, append(errs, err); err == nil {
			w.Requests = append(w.Requests, r)
		}
	}
	if w.Lengths != "" {
		r, err := ParseLengths(w.Lengths, o.Positions, w.FeedLast)
		if errs = append(errs, err); err == nil {
			w.Requests = append(w.Requests, r)
		}
	}
	return all, errors.Join(errs...)
}

// firstByte is the first that is no space, after a byte order mark.
func firstByte(in *bufio.Reader) (byte, error) {
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = in.Discard(3)
	}
	for n := 1; n <= in.Size(); n++ {
		head, err := in.Peek(n)
		if err != nil {
			return 0, err
		}
		if c := head[n-1]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
	return 0, fmt.Errorf("it begins with %d bytes of white space", in.Size())
}

// tracer collects requests and problems.
type tracer struct {
	o        TraceOptions
	out      *Requests
	problems []Problem
	at       map[string]int // of a cause in problems
	text     bool           // some lines hold text rather than lengths
	rec      record
}

// bad notes a problem of a line. Of very many kinds only the first are told
// apart: a trace of noise must not fill the memory.
func (t *tracer) bad(line int, cause string) { t.note(line, cause, false) }

func (t *tracer) note(line int, cause string, long bool) {
	i, known := t.at[cause]
	if !known && len(t.problems) >= maxProblems {
		cause = "other problems"
		i, known = t.at[cause]
	}
	if !known {
		i = len(t.problems)
		t.at[cause] = i
		t.problems = append(t.problems, Problem{Cause: cause, Long: long})
	}
	p := &t.problems[i]
	if p.Count++; len(p.Lines) < namedLines {
		p.Lines = append(p.Lines, line)
	}
}

// add counts a request.
func (t *tracer) add(line, prompt, fresh int) {
	if t.o.Positions > 0 && reach(prompt, fresh, t.o.FeedLast) > t.o.Positions {
		t.note(line, fmt.Sprintf("longer than the model's %d positions", t.o.Positions), true)
		return
	}
	if err := t.out.Add(prompt, fresh, 1); err != nil {
		t.bad(line, err.Error())
		return
	}
	if t.o.Each != nil {
		t.o.Each(prompt, fresh)
	}
}
