package explain

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/internal/fault"
)

// Severity is how bad a message is.
type Severity string

// The severities. Benign is a message that looks bad and is not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Benign  Severity = "benign"
	Info    Severity = "info"
)

// Class is what a message is about.
type Class string

// The classes.
const (
	Shape     Class = "shape"       // a shape at run time that the engine does not take
	Profile   Class = "profile"     // profiles as they were given to a builder
	Engine    Class = "engine-file" // an engine, its cache or its compatibility
	Precision Class = "precision"   // types, calibration, quantization
	Memory    Class = "memory"
	Install   Class = "install"   // libraries, drivers, devices
	Partition Class = "partition" // which part of a graph TensorRT gets
	Graph     Class = "graph"     // what the parser does not take
	Usage     Class = "usage"     // an option or a call that is wrong
	Runtime   Class = "runtime"   // execution failed
	General   Class = "general"   // says that something failed, not what
)

var severities = []Severity{Error, Warning, Benign, Info}

var classes = []Class{Shape, Profile, Engine, Precision, Memory, Install, Partition, Graph, Usage, Runtime, General}

// The ranks of a pattern. A finding is explained by any error of a higher rank that
// stands before it in the log, and by the patterns and classes that it says it follows.
const (
	rankGeneral = 1 // "engine could not be created": true of every failure
	rankEffect  = 2 // "setInputShape failed": which call, not why
	rankCause   = 3 // the default
)

// Example is a real message and what must be read from it.
type Example struct {
	Source string            `toml:"source"` // issue, file and line, or document
	Text   string            `toml:"text"`
	Fields map[string]string `toml:"fields"`
}

// Pattern is one kind of message in all its wordings.
type Pattern struct {
	ID       string   `toml:"id"`
	Title    string   `toml:"title"`
	Tools    []string `toml:"tools"`
	Versions string   `toml:"versions"` // of the tools, in words; may be empty
	Severity Severity `toml:"severity"`
	Class    Class    `toml:"class"`
	Asks     bool     `toml:"asks"`  // it is about a shape that was asked of a profile: a correction can widen one
	Rank     int      `toml:"rank"`  // 1 to 3; 0 is 3, a cause
	Lines    int      `toml:"lines"` // how many lines a message spans; 0 is 1
	Match    []string `toml:"match"` // the best wording first
	Cause    []string `toml:"cause"` // the first whose variables are all known
	Fix      []string `toml:"fix"`
	// FixFor are fixes in place of Fix where the log is of a tool that needs its
	// own: ONNX Runtime cannot select a profile.
	FixFor   map[string][]string `toml:"fix_for"`
	Follows  []string            `toml:"follows"` // ids and classes whose findings are the cause of this one
	Examples []Example           `toml:"example"`

	re       []*regexp.Regexp
	literals []string // a line that matches contains one of them
}

// Bounds of a pattern file: it may come from a stranger.
const (
	maxPatternFile = 64 << 10
	maxMatch       = 2 << 10
	maxSpan        = 8
	minLiteral     = 6
)

// Parse reads one pattern. path names it in errors; what is wrong is an error of
// class input that names everything.
func Parse(path string, text []byte) (*Pattern, error) {
	bad := func(cause string) error {
		return fault.New(fault.Input, "reading pattern", path, cause, "profiles/explain/README.md says what a pattern needs")
	}
	if len(text) > maxPatternFile {
		return nil, bad(fmt.Sprintf("it is larger than %d bytes", maxPatternFile))
	}
	p := &Pattern{}
	meta, err := toml.Decode(string(text), p)
	if err != nil {
		return nil, bad(err.Error())
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return nil, bad(fmt.Sprintf("there is no key %q", left[0]))
	}
	if p.Rank == 0 {
		p.Rank = rankCause
	}
	p.Lines = max(p.Lines, 1)
	if wrong := p.compile(); len(wrong) > 0 {
		return nil, bad(strings.Join(wrong, "; "))
	}
	return p, nil
}

var (
	idForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	fields = regexp.MustCompile(`\{([a-z_]+)\}`)
)

// compile checks the pattern and makes it ready; it returns all that is wrong.
func (p *Pattern) compile() (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !idForm.MatchString(p.ID) {
		bad("id %q: want words of a-z and 0-9 joined by -", p.ID)
	}
	if p.Title == "" || len(p.Tools) == 0 {
		bad("it needs a title and tools")
	}
	if !slices.Contains(severities, p.Severity) || !slices.Contains(classes, p.Class) {
		bad("severity %q or class %q is none", p.Severity, p.Class)
	}
	if p.Rank < rankGeneral || p.Rank > rankCause || p.Lines > maxSpan {
		bad("rank %d is not 1 to 3, or %d lines are more than %d", p.Rank, p.Lines, maxSpan)
	}
	known := p.groups(bad)
	all := map[string][]string{"cause": p.Cause, "fix": p.Fix}
	for tool, templates := range p.FixFor {
		all["fix for "+tool] = templates
	}
	for name, templates := range all {
		if len(templates) == 0 || fields.MatchString(templates[len(templates)-1]) {
			bad("%s: the last wording must have no variables, for a log that lacks them", name)
		}
		for _, t := range templates {
			for _, v := range fields.FindAllStringSubmatch(t, -1) {
				if !known[v[1]] {
					bad("%s: nothing gives {%s}", name, v[1])
				}
			}
		}
	}
	return wrong
}

// groups compiles the expressions and returns the names of what they and derive
// can give.
func (p *Pattern) groups(bad func(string, ...any)) map[string]bool {
	known := map[string]bool{}
	if len(p.Match) == 0 {
		bad("it matches nothing")
	}
	for _, m := range p.Match {
		if len(m) > maxMatch {
			bad("an expression is longer than %d", maxMatch)
			continue
		}
		re, err := regexp.Compile(m)
		if err != nil {
			bad("%v", err)
			continue
		}
		literals := required(m)
		if len(literals) == 0 {
			bad("%q demands no text of %d bytes that a line can be filtered by", m, minLiteral)
		}
		p.re, p.literals = append(p.re, re), append(p.literals, literals...)
		for _, name := range re.SubexpNames() {
			known[name] = true
		}
	}
	for name, from := range derived {
		known[name] = known[name] || slices.ContainsFunc(from, func(all []string) bool {
			return !slices.ContainsFunc(all, func(s string) bool { return !known[s] })
		})
	}
	return known
}

// Load reads every *.toml of a directory. Several patterns of one id are refused.
func Load(dir fs.FS) ([]*Pattern, error) {
	paths, err := fs.Glob(dir, "*.toml")
	if err != nil {
		return nil, fmt.Errorf("listing patterns: %w", err)
	}
	ids := map[string]string{}
	var all []*Pattern
	for _, path := range paths {
		text, err := fs.ReadFile(dir, path)
		if err != nil {
			return nil, fmt.Errorf("reading pattern: %w", err)
		}
		p, err := Parse(path, text)
		if err != nil {
			return nil, err
		}
		if first, twice := ids[p.ID]; twice {
			return nil, fault.New(fault.Input, "reading pattern", path, "its id is that of "+first, "give it another")
		}
		ids[p.ID] = path
		all = append(all, p)
	}
	return all, nil
}
