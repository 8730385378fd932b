package explain

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The names of groups that are not taken as they stand. All others are names:
// tensors, nodes, files, versions.
var (
	// shapes become 4x19, whatever brackets and separators they came with.
	shapes = []string{"dims", "min", "opt", "max", "expected"}
	// lists become names separated by ", ".
	lists = []string{"inputs"}
	// others is the ranges of further profiles, in words.
)

// derived are fields that are computed, each with the sets of fields that suffice.
var derived = map[string][][]string{
	"axis":    {{"dims", "min", "max"}, {"dims", "expected"}, {"index"}},
	"size":    {{"dims", "min", "max"}, {"dims", "expected"}},
	"lo":      {{"dims", "min", "max"}},
	"hi":      {{"dims", "min", "max"}},
	"want":    {{"dims", "expected"}},
	"end":     {{"dims", "min", "max"}, {"size", "lo", "hi"}},
	"allowed": {{"dims", "min", "max"}, {"lo", "hi"}},
}

const maxField = 300

// extract takes the named groups of a match, normalised, and what follows from
// them. An empty group is no field.
func extract(re *regexp.Regexp, text string, at []int) map[string]string {
	out := map[string]string{}
	for i, name := range re.SubexpNames() {
		if name == "" || at[2*i] < 0 {
			continue
		}
		if v := normal(name, text[at[2*i]:at[2*i+1]]); v != "" {
			out[name] = v
		}
	}
	derive(out)
	return out
}

// normal is a field's text in the form that templates and programs use.
func normal(name, raw string) string {
	raw = printable(raw, maxField)
	switch {
	case slices.Contains(shapes, name):
		return shapeText(raw)
	case slices.Contains(lists, name):
		parts := strings.FieldsFunc(raw, func(r rune) bool { return strings.ContainsRune(", '\"[]()", r) })
		return strings.Join(parts, ", ")
	case name == "others":
		return otherRanges(raw)
	}
	return strings.TrimRight(strings.Trim(raw, " \t'\"`"), ".,;'\"` ")
}

var digits = regexp.MustCompile(`-?\d+`)

// shapeText is a shape as 4x19; several, as one message may name, are separated
// by a slash.
func shapeText(raw string) string {
	var all []string
	for _, one := range strings.Split(raw, "/") {
		if n := digits.FindAllString(one, -1); len(n) > 0 {
			all = append(all, strings.Join(n, "x"))
		}
	}
	return strings.Join(all, "/")
}

// parseShape is the first shape of a field; nil where there is none.
func parseShape(s string) []int64 {
	s, _, _ = strings.Cut(s, "/")
	if s == "" {
		return nil
	}
	var shape []int64
	for _, part := range strings.Split(s, "x") {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return nil
		}
		shape = append(shape, n)
	}
	return shape
}

// derive finds the first axis at which a shape is not what the engine takes.
func derive(f map[string]string) {
	dims, lo, hi, want := parseShape(f["dims"]), parseShape(f["min"]), parseShape(f["max"]), parseShape(f["expected"])
	if i := f["index"]; i != "" && f["axis"] == "" {
		f["axis"] = i
	}
	for i, n := range dims {
		if len(dims) == len(lo) && len(dims) == len(hi) && (n < lo[i] || n > hi[i]) {
			f["axis"], f["size"] = strconv.Itoa(i), strconv.FormatInt(n, 10)
			f["lo"], f["hi"] = strconv.FormatInt(lo[i], 10), strconv.FormatInt(hi[i], 10)
			break
		}
		if len(dims) == len(want) && want[i] >= 0 && n != want[i] {
			f["axis"], f["size"], f["want"] = strconv.Itoa(i), strconv.FormatInt(n, 10), strconv.FormatInt(want[i], 10)
			break
		}
	}
	size, err1 := strconv.ParseInt(f["size"], 10, 64)
	low, err2 := strconv.ParseInt(f["lo"], 10, 64)
	if err1 == nil && err2 == nil {
		if f["end"] = "max"; size < low {
			f["end"] = "min"
		}
	}
	if f["lo"] != "" && f["hi"] != "" {
		if f["allowed"] = f["lo"] + " to " + f["hi"]; f["lo"] == f["hi"] {
			f["allowed"] = f["lo"] + " only"
		}
	}
}

// fill is the first template whose variables are all known. The last has none, as
// compile saw to.
func fill(templates []string, f map[string]string) string {
	for _, t := range templates {
		ok := true
		out := fields.ReplaceAllStringFunc(t, func(v string) string {
			value, known := f[v[1:len(v)-1]]
			ok = ok && known
			return value
		})
		if ok {
			return out
		}
	}
	return ""
}

// printable is at most n bytes of s with what a terminal or JSON cannot show
// replaced.
func printable(s string, n int) string {
	cut := len(s) > n
	if cut {
		s = s[:n]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if cut {
		s += "..."
	}
	return s
}
