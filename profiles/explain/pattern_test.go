package explain

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/trtforge/trtforge/internal/fault"
)

func builtin(t testing.TB) []*Pattern {
	t.Helper()
	all, err := Patterns()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// explained reads a log and demands that nothing goes wrong in reading.
func explained(t testing.TB, log string, c Context) *Report {
	t.Helper()
	r, err := Read(strings.NewReader(log), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// found is the finding that an example stands for: the root where it is an error
// or a warning, else the one of that pattern.
func found(r *Report, p *Pattern) *Finding {
	if p.Severity == Error || p.Severity == Warning {
		return r.Root()
	}
	for _, f := range r.Findings {
		if f.ID == p.ID {
			return f
		}
	}
	return nil
}

// subset is what of got has the names of want.
func subset(got, want map[string]string) map[string]string {
	out := map[string]string{}
	for k := range want {
		if v, ok := got[k]; ok {
			out[k] = v
		}
	}
	return out
}

func TestEveryPatternHoldsOnItsExamples(t *testing.T) {
	for _, p := range builtin(t) {
		t.Run(p.ID, func(t *testing.T) {
			if len(p.Examples) == 0 {
				t.Error("it has no example")
			}
			for _, e := range p.Examples {
				if len(e.Source) < 5 {
					t.Errorf("the example has no source: %q", e.Source)
				}
				r := explained(t, e.Text, Context{})
				f := found(r, p)
				if f == nil || f.ID != p.ID {
					t.Fatalf("%s\nis explained by %+v", e.Text, f)
				}
				if d := cmp.Diff(e.Fields, subset(f.Fields, e.Fields), cmp.Transformer("none", func(m map[string]string) map[string]string {
					if len(m) == 0 {
						return nil
					}
					return m
				})); d != "" {
					t.Errorf("%s\n%s", e.Text, d)
				}
				for k := range f.Fields {
					if _, said := e.Fields[k]; !said && derived[k] == nil {
						t.Errorf("the example's fields lack %s = %q", k, f.Fields[k])
					}
				}
				if f.Cause == "" || f.Fix == "" || strings.ContainsAny(f.Cause+f.Fix, "{}") && !strings.Contains(e.Text, "{") {
					t.Errorf("cause %q, fix %q", f.Cause, f.Fix)
				}
				if len(r.Unknown) > 0 {
					t.Errorf("not known: %v", r.Unknown)
				}
			}
		})
	}
}

// Every wording is reached by an example: an expression that matches none may be
// wrong unseen.
func TestEveryWordingHasAnExample(t *testing.T) {
	for _, p := range builtin(t) {
		for _, re := range p.re {
			if !slices.ContainsFunc(p.Examples, func(e Example) bool {
				return re.MatchString(e.Text) || re.MatchString(strings.ReplaceAll(e.Text, "\n", " "))
			}) {
				t.Errorf("%s has no example of %s", p.ID, re)
			}
		}
	}
}

func TestFollowsNameWhatExists(t *testing.T) {
	ids := map[string]bool{}
	for _, p := range builtin(t) {
		ids[p.ID] = true
	}
	for _, c := range classes {
		ids[string(c)] = true
	}
	for _, p := range builtin(t) {
		for _, f := range p.Follows {
			if !ids[f] {
				t.Errorf("%s follows %q, which is no pattern and no class", p.ID, f)
			}
		}
	}
}

// Every file of patterns/ is embedded and read.
func TestEveryFileIsRead(t *testing.T) {
	names, err := fs.Glob(os.DirFS("patterns"), "*")
	if err != nil || len(names) != len(builtin(t)) || len(names) < 100 {
		t.Errorf("%d files, %d patterns, %v", len(names), len(builtin(t)), err)
	}
}

var number = regexp.MustCompile(`\d+`)

// What is said of a log contains no number that neither the log nor the pattern's
// own words contain.
func TestNothingIsInvented(t *testing.T) {
	for _, p := range builtin(t) {
		words := strings.Join(append(append([]string{p.Title}, p.Cause...), p.Fix...), " ")
		for _, e := range p.Examples {
			for _, f := range explained(t, e.Text, Context{}).Findings {
				if f.ID != p.ID {
					continue
				}
				for _, n := range number.FindAllString(f.Cause+" "+f.Fix, -1) {
					if !strings.Contains(e.Text, n) && !strings.Contains(words, n) && n != f.Fields["axis"] {
						t.Errorf("%s: %s is neither in the log nor in the pattern: %s; %s", p.ID, n, f.Cause, f.Fix)
					}
				}
			}
		}
	}
}

const valid = `
id = "a-b"
title = "t"
tools = ["tensorrt"]
severity = "error"
class = "shape"
match = ["something (?P<input>x+)"]
cause = ["{input}", "none"]
fix = ["do"]
`

func TestParseRefuses(t *testing.T) {
	if _, err := Parse("p", []byte(valid)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"a-b"`, `"A b"`, "id"},
		{`title = "t"`, ``, "title"},
		{`"error"`, `"bad"`, "severity"},
		{`"shape"`, `"form"`, "class"},
		{`"something (?P<input>x+)"`, `"(?P<input>x+)"`, "filtered"},
		{`"something (?P<input>x+)"`, `"something (?P<input>x+"`, "missing closing"},
		{`["something (?P<input>x+)"]`, `[]`, "matches nothing"},
		{`"{input}", "none"`, `"{input}"`, "last wording"},
		{`["do"]`, `[]`, "fix"},
		{`"{input}"`, `"{name}"`, "{name}"},
		{`"{input}"`, `"{lo}"`, "{lo}"},
		{`fix =`, `fixes =`, "fixes"},
		{`id =`, `rank = 4` + "\nid =", "rank"},
		{`id =`, `lines = 40` + "\nid =", "40 lines"},
		{`id =`, `id`, "toml"},
	} {
		_, err := Parse("p.toml", []byte(strings.Replace(valid, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Exit(err) != 4 {
			t.Errorf("%s for %s: %v", c.new, c.old, err)
		}
	}
	if _, err := Parse("p", make([]byte, maxPatternFile+1)); fault.Exit(err) != 4 {
		t.Errorf("too large: %v", err)
	}
}

func TestRequiredLiterals(t *testing.T) {
	for expr, want := range map[string][]string{
		`abcdef(\d+)ghijklmno`:     {"ghijklmno"},
		`(?:abcdefg|hijklmnop) x`:  {"abcdefg", "hijklmnop"},
		`(?:abcdefg|h) x`:          nil,
		`(?i)abcdefgh`:             nil,
		`x*`:                       nil,
		`(?P<a>foobarbaz)+`:        {"foobarbaz"},
		`[Ee]rror code of (?:a|b)`: {"rror code of "},
	} {
		if d := cmp.Diff(want, required(expr)); d != "" {
			t.Errorf("%s:\n%s", expr, d)
		}
	}
}
