package syntax

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// A lock: what a repository keeps beside a model, so that a change of profiles is a
// change that people see.
//
//	lock    = head {profile}
//	profile = "profile" number ["# " name] newline {range}
//	range   = "  " name ["values"] shape shape shape newline      minimum, optimum, maximum
//	shape   = size {"x" size} | "scalar"
//	size    = number | "?"                                        ? = the source did not tell
//
// Inputs are in the order of their names, columns are aligned, a name with a space, a
// quote or # in it is a Go string. The same profiles give the same bytes, but for the
// comments.
const lockHead = "# trtforge profiles.lock"

// lockVersion is the version that this program writes and the newest it reads.
const lockVersion = 1

func emitLock(in Input) (string, error) {
	known := slices.Clone(in.Profiles)
	for i, p := range known { // what a lock may leave open, check may not
		known[i].Inputs = slices.Clone(p.Inputs)
		for j, r := range p.Inputs {
			known[i].Inputs[j].Min, known[i].Inputs[j].Opt, known[i].Inputs[j].Max = settled(r.Min), settled(r.Opt), settled(r.Max)
		}
	}
	if err := check(known, 64, func(string) string { return "" }); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d\n", lockHead, lockVersion)
	for i, p := range in.Profiles {
		fmt.Fprintf(&b, "\nprofile %d", i)
		if p.Name != "" && nameless(p.Name) == "" {
			fmt.Fprintf(&b, " # %s", p.Name)
		}
		b.WriteByte('\n')
		writeRanges(&b, p.Inputs)
	}
	return b.String(), nil
}

func settled(shape []int64) []int64 {
	shape = slices.Clone(shape)
	for i, n := range shape {
		if n == profiles.Unknown {
			shape[i] = 0
		}
	}
	return shape
}

// writeRanges writes ranges in the order of their names, in columns.
func writeRanges(b *strings.Builder, ranges []profiles.Range) {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, c profiles.Range) int { return strings.Compare(a.Input, c.Input) })
	rows := make([][4]string, len(ranges))
	var width [3]int
	for i, r := range ranges {
		name := r.Input
		if strings.ContainsAny(name, " \"#?\\`'") {
			name = strconv.Quote(name)
		}
		if r.Values {
			name += " values"
		}
		rows[i] = [4]string{name, lockShape(r.Min), lockShape(r.Opt), lockShape(r.Max)}
		for c := range width {
			width[c] = max(width[c], len(rows[i][c]))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s  %-*s  %-*s  %s\n", width[0], row[0], width[1], row[1], width[2], row[2], row[3])
	}
}

func lockShape(shape []int64) string {
	if len(shape) == 0 {
		return "scalar"
	}
	return strings.ReplaceAll(join(shape, "x"), strconv.Itoa(profiles.Unknown), "?")
}

// lock reads a lock.
func (r *reader) lock() []profiles.Profile {
	var all []profiles.Profile
	at := 0
	for line := range strings.Lines(r.text) {
		start := at
		at += len(line)
		switch body := strings.TrimRight(line, " \t\r\n"); {
		case start == 0:
			version, err := number(strings.TrimSpace(strings.TrimPrefix(body, lockHead)), 32)
			if !strings.HasPrefix(body, lockHead) || err != nil || version < 1 || version > lockVersion {
				r.bad(0, fmt.Sprintf("%q is not %q; this program reads locks up to version %d", clip(body), lockHead+" 1", lockVersion), "write the lock again")
				return nil
			}
		case strings.TrimSpace(body) == "" || strings.HasPrefix(body, "#"):
		case strings.HasPrefix(body, "profile "):
			number, comment, _ := strings.Cut(strings.TrimPrefix(body, "profile "), "#")
			if strings.TrimSpace(number) != strconv.Itoa(len(all)) || len(all) == maxProfiles {
				r.bad(start, fmt.Sprintf("profile %d is expected here, not %q", len(all), clip(body)), "")
			}
			all = append(all, profiles.Profile{Name: strings.TrimSpace(comment)})
		case len(all) == 0:
			r.bad(start, fmt.Sprintf("%q stands before any profile", clip(body)), "")
		default:
			if !r.count(start) {
				return nil
			}
			if rng, ok := r.lockRange(r.plainValue(start, start+len(body))); ok {
				last := &all[len(all)-1]
				last.Inputs = append(last.Inputs, rng)
			}
		}
	}
	return r.distinct(all)
}

// distinct notes inputs that a profile names twice, and profiles of none.
func (r *reader) distinct(all []profiles.Profile) []profiles.Profile {
	for i, p := range all {
		seen := map[string]bool{}
		for _, in := range p.Inputs {
			if seen[in.Input] {
				r.bad(len(r.text), fmt.Sprintf("profile %d names %s twice", i, clip(in.Input)), "")
			}
			seen[in.Input] = true
		}
		if len(seen) == 0 && len(r.errs) == 0 {
			r.bad(len(r.text), fmt.Sprintf("profile %d has no input", i), "")
		}
	}
	return all
}

// lockRange reads a line of a profile.
func (r *reader) lockRange(v value) (rng profiles.Range, ok bool) {
	v = trim(v)
	quoted, err := strconv.QuotedPrefix(v.s)
	rest := v
	if err == nil {
		rng.Input, _ = strconv.Unquote(quoted)
		rest = v.slice(len(quoted), len(v.s))
	}
	var fields []value
	for _, f := range rest.split(' ') {
		if f.s != "" {
			fields = append(fields, f)
		}
	}
	if err != nil && len(fields) > 0 {
		rng.Input, fields = fields[0].s, fields[1:]
	}
	if rng.Values = len(fields) == 4 && fields[0].s == "values"; rng.Values {
		fields = fields[1:]
	}
	if len(fields) != 3 || nameless(rng.Input) != "" {
		r.bad(v.pos(0), fmt.Sprintf("%q is not NAME MIN OPT MAX", clip(v.s)), "")
		return rng, false
	}
	ok = true
	for i, into := range []*[]int64{&rng.Min, &rng.Opt, &rng.Max} {
		shape, good := r.lockSizes(fields[i])
		*into, ok = shape, ok && good
	}
	if ok && (len(rng.Min) != len(rng.Opt) || len(rng.Min) != len(rng.Max)) {
		r.bad(v.pos(0), fmt.Sprintf("%s has %d sizes at minimum, %d at optimum, %d at maximum", clip(rng.Input), len(rng.Min), len(rng.Opt), len(rng.Max)), "")
		ok = false
	}
	return rng, ok
}

// lockSizes reads sizes, of which ? is one.
func (r *reader) lockSizes(v value) ([]int64, bool) {
	if v.s == "scalar" {
		return []int64{}, true
	}
	var b builder
	for i, part := range v.split('x') {
		if i > 0 {
			b.add("x", part.pos(0)-1)
		}
		if part.s == "?" {
			b.add(strconv.Itoa(profiles.Unknown), part.pos(0))
		} else {
			b.b, b.at = append(b.b, part.s...), append(b.at, part.at...)
		}
	}
	return r.sizes(b.value(v.end), 'x', 64)
}
