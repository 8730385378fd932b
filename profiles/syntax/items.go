package syntax

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// item is NAME:SHAPE.
type item struct {
	name  string
	sizes []int64
	at    int
}

// group is what a text says of one profile.
type group struct {
	at    int
	lists [3][]item // of minimum, optimum, maximum
	given [3]bool
}

// sizes reads numbers between separators; all that is wrong with them is noted.
// bits is the width of the tool's integers.
func (r *reader) sizes(v value, sep byte, bits int) ([]int64, bool) {
	if n := strings.Count(v.s, string(sep)) + 1; n > maxSizes {
		r.bad(v.pos(0), fmt.Sprintf("%d sizes are more than TensorRT takes", n), "")
		return nil, false
	}
	parts := v.split(sep)
	sizes, ok := make([]int64, 0, len(parts)), true
	for _, p := range parts {
		n, err := number(p.s, bits)
		if err != nil {
			cause, fix := explainSize(p.s, sep, bits, err)
			r.bad(p.pos(0), cause, fix)
			ok = false
			continue
		}
		sizes = append(sizes, n)
	}
	return sizes, ok
}

var errNoNumber = errors.New("not a number")

// number is a decimal integer in ASCII. A sign before it is taken: values of a
// shape tensor may be negative. What the tools' std::stoi would forgive, as 8abc,
// is no number here.
func number(s string, bits int) (int64, error) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errNoNumber
	}
	n, err := strconv.ParseInt(s, 10, bits)
	return n, err
}

func explainSize(s string, sep byte, bits int, err error) (cause, fix string) {
	if !errors.Is(err, errNoNumber) {
		return fmt.Sprintf("%s does not fit into %d bits", clip(s), bits), ""
	}
	if s == "" {
		return "a size is missing", fmt.Sprintf("write numbers separated by %q", sep)
	}
	if c := foreign(s); c != "" {
		return c, "write ASCII digits and separators"
	}
	return fmt.Sprintf("%q is not a number", clip(s)), fmt.Sprintf("write numbers separated by %q; profiles know no symbolic sizes", sep)
}

// lookalikes are characters that editors and documents put in the place of those
// that the grammars want.
var lookalikes = map[rune]string{'×': "x", '✕': "x", 'х': "x", 'ｘ': "x", '：': ":", '∶': ":", '，': ",", '、': ",", '‘': "'", '’': "'", '“': `"`, '”': `"`, '−': "-", '–': "-", '—': "--", '\u00a0': "a space", '\u200b': "nothing", '\ufeff': "nothing"}

// foreign names the first character of s that is not ASCII.
func foreign(s string) string {
	for _, c := range s {
		if c < 0x80 {
			continue
		}
		if means := lookalikes[c]; means != "" {
			return fmt.Sprintf("%U %q stands where %s is meant", c, c, means)
		}
		return fmt.Sprintf("%U %q is no ASCII digit", c, c)
	}
	return ""
}

// clip shortens what an error quotes.
func clip(s string) string {
	if r := []rune(s[:min(len(s), 4*60)]); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// count notes the first item beyond what is read.
func (r *reader) count(at int) bool {
	r.items++
	if r.items == maxItems+1 {
		r.bad(at, fmt.Sprintf("more than %d shapes", maxItems), "")
	}
	return r.items <= maxItems
}

// profiles makes profiles of groups. names are what the lists are called.
func (r *reader) profiles(groups []group, names [3]string) []profiles.Profile {
	if len(groups) > maxProfiles {
		r.bad(groups[maxProfiles].at, fmt.Sprintf("more than %d profiles", maxProfiles), "")
		return nil
	}
	var all []profiles.Profile
	for i, g := range groups {
		whole := true
		for k := range g.given {
			if !g.given[k] {
				if r.uneven(g.at, fmt.Sprintf("profile %d has no %s", i, names[k]), "give minimum, optimum and maximum; nothing is taken for granted") {
					whole = false
				}
			}
		}
		if whole {
			all = append(all, r.profile(i, g, names))
		}
	}
	return all
}

func (r *reader) profile(i int, g group, names [3]string) (p profiles.Profile) {
	var by [3]map[string]item
	for k, list := range g.lists {
		by[k] = make(map[string]item, len(list))
		for _, it := range list {
			if _, twice := by[k][it.name]; twice {
				r.bad(it.at, fmt.Sprintf("profile %d: %s names %s twice", i, names[k], clip(it.name)), "")
			}
			by[k][it.name] = it
		}
	}
	for _, name := range inOrder(g.lists) {
		x := profiles.Range{Input: name}
		var first item
		for k := 2; k >= 0; k-- {
			it, ok := by[k][name]
			if ok {
				first = it
			}
			*[]*[]int64{&x.Min, &x.Opt, &x.Max}[k] = it.sizes
		}
		var lacks []string
		for k := range by {
			if _, ok := by[k][name]; !ok {
				lacks = append(lacks, names[k])
			}
		}
		switch uneven := len(x.Min) != len(x.Opt) || len(x.Max) != len(x.Opt); {
		case len(lacks) > 0 && r.uneven(first.at, fmt.Sprintf("profile %d: %s is missing in %s", i, clip(name), strings.Join(lacks, " and ")), ""):
		case len(lacks) == 0 && uneven && r.uneven(first.at, fmt.Sprintf("profile %d: %s has %d sizes at minimum, %d at optimum, %d at maximum", i, clip(name), len(x.Min), len(x.Opt), len(x.Max)), ""):
		default:
			p.Inputs = append(p.Inputs, x)
		}
	}
	return p
}

// inOrder is every name of lists once, those of the first list first.
func inOrder(lists [3][]item) (names []string) {
	seen := map[string]bool{}
	for _, list := range lists {
		for _, it := range list {
			if !seen[it.name] {
				seen[it.name] = true
				names = append(names, it.name)
			}
		}
	}
	return names
}
