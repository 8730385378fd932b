package explain

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// place is where a named group stands in an example.
type place struct {
	name     string
	from, to int
}

// places are the named groups of the expression that matches an example as it
// stands, but for those of a few given words. Of an example that is wrapped there
// are none.
func places(p *Pattern, text string) []place {
	for _, re := range p.re {
		at := re.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		var all []place
		shut := closed(re)
		for i, name := range re.SubexpNames() {
			if name != "" && !shut[name] && at[2*i] >= 0 && at[2*i] < at[2*i+1] {
				all = append(all, place{name, at[2*i], at[2*i+1]})
			}
		}
		slices.SortFunc(all, func(a, b place) int { return a.from - b.from })
		return all
	}
	return nil
}

// closed are the groups of an expression that hold one of a few given words, as
// MIN|OPT|MAX: those no mutation may replace.
func closed(re *regexp.Regexp) map[string]bool {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		panic(err)
	}
	out := map[string]bool{}
	var open func(t *syntax.Regexp) bool
	open = func(t *syntax.Regexp) bool {
		switch t.Op {
		case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
			return true
		}
		return slices.ContainsFunc(t.Sub, open)
	}
	var walk func(t *syntax.Regexp)
	walk = func(t *syntax.Regexp) {
		if t.Op == syntax.OpCapture && t.Name != "" {
			out[t.Name] = !open(t)
		}
		for _, sub := range t.Sub {
			walk(sub)
		}
	}
	walk(tree)
	return out
}

// fixed are words that make a name what it is: a library, a variable, a flag.
var fixed = regexp.MustCompile(`^(?:lib\w+|so|dll|0x|INT8|ORT_TENSORRT_\w+|torch|Size)$`)

// prose are the groups that hold a tool's own words; only their numbers are of
// the log.
var prose = []string{"what", "option", "call", "others"}

var token = regexp.MustCompile(`0x[0-9a-f]+|\d+|[A-Za-z_]+`)

// mutated is raw with other numbers and, of a name, other letters. Its form stays:
// brackets, separators, and a number where a number was.
func mutated(r *rand.Rand, name, raw string) string {
	return token.ReplaceAllStringFunc(raw, func(w string) string {
		switch {
		case strings.HasPrefix(w, "0x"):
			return fmt.Sprintf("%#x", r.IntN(1<<20))
		case w[0] >= '0' && w[0] <= '9':
			return fmt.Sprint(1 + r.IntN(99999))
		case slices.Contains(shapes, name) || slices.Contains(prose, name) || fixed.MatchString(w) || len(w) == 1:
			return w
		}
		out := []byte(w)
		for i, c := range out {
			if c != '_' {
				out[i] = c&0xe0 | byte(1+r.IntN(26)) // of the same case
			}
		}
		return string(out)
	})
}

// noise are numbers that say nothing: timestamps, lines of source, thread ids.
var noise = regexp.MustCompile(`(?:\.cpp:|\.h:|\.cc:|\.cu:|::)\d+\b|\b\d\d:\d\d:\d\d\b`)

// mutation replaces every named group of an example, and the noise, and says
// which fields must be found.
func mutation(r *rand.Rand, p *Pattern, e Example) (string, map[string]string) {
	var b strings.Builder
	want := map[string]string{}
	last := 0
	quiet := func(s string) string {
		return noise.ReplaceAllStringFunc(s, func(m string) string {
			if strings.Count(m, ":") == 2 && m[0] != ':' {
				return fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
			}
			return strings.TrimRight(m, "0123456789") + fmt.Sprint(1+r.IntN(9999))
		})
	}
	for _, g := range places(p, e.Text) {
		if g.from < last { // a group within another
			continue
		}
		raw := mutated(r, g.name, e.Text[g.from:g.to])
		b.WriteString(quiet(e.Text[last:g.from]))
		b.WriteString(raw)
		want[g.name] = normal(g.name, raw)
		last = g.to
	}
	b.WriteString(quiet(e.Text[last:]))
	return b.String(), want
}

// Names and numbers of every example are replaced twenty times; the pattern must
// still be the root, and give the new ones.
func TestExamplesHoldWithOtherNamesAndNumbers(t *testing.T) {
	held, fieldsHeld := 0, 0
	for _, p := range builtin(t) {
		for i, e := range p.Examples {
			for seed := range uint64(20) {
				text, want := mutation(rand.New(rand.NewPCG(seed, uint64(i))), p, e)
				f := found(explained(t, text, Context{}), p)
				if f == nil || f.ID != p.ID {
					t.Errorf("%s, seed %d: %s\nis explained by %+v", p.ID, seed, text, f)
					break
				}
				held++
				for k, v := range want {
					if v != "" && f.Fields[k] != v && derived[k] == nil {
						t.Errorf("%s, seed %d: %s = %q, want %q, in\n%s", p.ID, seed, k, f.Fields[k], v, text)
					}
					fieldsHeld++
				}
			}
		}
	}
	t.Logf("%d mutated examples of %d patterns, %d fields", held, len(builtin(t)), fieldsHeld)
}

// The same in the prefixes and wrappings that logs come in: a container's, a
// service's, colours, Windows, and one JSON object a line.
func TestExamplesHoldInOtherClothes(t *testing.T) {
	clothes := map[string]func(string) string{
		"docker compose": func(s string) string { return prefixed("trt_1  | ", s) },
		"timestamp":      func(s string) string { return prefixed("2026-11-24T22:20:01.123456Z stderr F ", s) },
		"colours": func(s string) string {
			return "\x1b[1;31m" + strings.ReplaceAll(s, "\n", "\x1b[0m\n\x1b[31m") + "\x1b[0m"
		},
		"windows":     func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") + "\r\n" },
		"utf-16":      func(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00" },
		"docker json": dockerJSON,
		"between":     func(s string) string { return "[TRT] [I] Loaded engine size: 3 MiB\n" + s + "\nbye\n" },
	}
	for name, wear := range clothes {
		for _, p := range builtin(t) {
			for _, e := range p.Examples {
				if f := found(explained(t, wear(e.Text), Context{}), p); f == nil || f.ID != p.ID {
					t.Errorf("%s in %s is explained by %+v", p.ID, name, f)
				}
			}
		}
	}
}

func prefixed(p, s string) string { return p + strings.ReplaceAll(s, "\n", "\n"+p) }

func dockerJSON(s string) string {
	var b strings.Builder
	for _, l := range strings.Split(s, "\n") {
		fmt.Fprintf(&b, `{"log":%q,"stream":"stderr","time":"2026-11-24T22:20:01Z"}`+"\n", l+"\n")
	}
	return b.String()
}
