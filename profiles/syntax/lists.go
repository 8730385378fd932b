package syntax

import (
	"fmt"
	"strings"
)

// list reads NAME:SHAPE, separated by commas, sizes by x: what ONNX Runtime's
// providers and trtexec share. cut takes an item apart as the tool does.
func (r *reader) list(v value, cut func(*reader, value) (name, sizes value, ok bool)) []item {
	var all []item
	if r.items += strings.Count(v.s, ",") + 1; r.items > maxItems {
		r.bad(v.pos(0), fmt.Sprintf("more than %d shapes", maxItems), "")
		return nil
	}
	for _, part := range v.split(',') {
		if strings.TrimSpace(part.s) == "" {
			r.bad(part.pos(0), "an item is empty", "write NAME:SHAPE, separated by single commas")
			continue
		}
		name, sizes, ok := cut(r, part)
		if !ok || !r.named(name) {
			continue
		}
		if it, ok := r.shape(name, sizes); ok {
			all = append(all, it)
		}
	}
	return all
}

// shape reads sizes separated by x; none at all is a scalar, which a tool that
// knows none has refused in its cut.
func (r *reader) shape(name, sizes value) (item, bool) {
	it := item{name: name.s, at: name.pos(0), sizes: []int64{}}
	if sizes.s == "" {
		return it, true
	}
	var ok bool
	it.sizes, ok = r.sizes(sizes, 'x', 32)
	return it, ok
}

// named tells whether a name can be one.
func (r *reader) named(name value) bool {
	cause := nameless(name.s)
	if cause != "" {
		r.bad(name.pos(0), cause, "")
	}
	return cause == ""
}

// nameless says why a name can be none in any syntax, or "". No tool trims names,
// so a space after a comma would make another name.
func nameless(name string) string {
	switch {
	case name == "":
		return "a name is missing"
	case strings.TrimSpace(name) != name:
		return fmt.Sprintf("the name %q begins or ends with a space, which no tool removes", clip(name))
	case strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }):
		return fmt.Sprintf("the name %q holds control characters or is not UTF-8", clip(name))
	}
	return ""
}

// cutProvider takes an item of ONNX Runtime's providers apart: name and shape
// stand before and after the only colon.
func cutProvider(r *reader, v value) (name, sizes value, ok bool) {
	parts := v.split(':')
	switch {
	case len(parts) == 1:
		r.bad(v.pos(0), noColon(v.s), "write NAME:SHAPE, as input_ids:1x8")
	case len(parts) > 2 && strings.Contains(v.s, ";"):
		r.bad(v.pos(strings.IndexByte(v.s, ';')), "; does not separate inputs", "separate them by commas")
	case len(parts) > 2:
		r.bad(parts[2].pos(0)-1, fmt.Sprintf("a second colon in %q: ONNX Runtime takes the name up to the first", clip(v.s)), "rename an input that has a colon in its name")
	case parts[1].s == "":
		r.bad(v.pos(0), fmt.Sprintf("%s has no shape", clip(parts[0].s)), "write NAME:SHAPE, as input_ids:1x8")
	default:
		return parts[0], parts[1], true
	}
	return value{}, value{}, false
}

// noColon says what is wrong with an item that has none.
func noColon(item string) string {
	for _, c := range item {
		if lookalikes[c] == ":" {
			return fmt.Sprintf("%U %q stands where : is meant", c, c)
		}
	}
	return fmt.Sprintf("%q has no colon between name and shape", clip(item))
}

// occurrences makes groups of lists in which the nth mention of a name belongs to
// the nth profile, as ONNX Runtime's providers read them. at is where each list
// stands.
func (r *reader) occurrences(lists [3][]item, at [3]int) []group {
	var counts [3]map[string]int
	order, first := []string{}, map[string]int{}
	groups := 0
	for k, list := range lists {
		counts[k] = map[string]int{}
		for _, it := range list {
			if _, seen := first[it.name]; !seen {
				first[it.name] = it.at
				order = append(order, it.name)
			}
			counts[k][it.name]++
			groups = max(groups, counts[k][it.name])
		}
	}
	even := true
	for _, name := range order {
		lo, opt, hi := counts[0][name], counts[1][name], counts[2][name]
		if lo != groups || opt != groups || hi != groups {
			if r.uneven(first[name], fmt.Sprintf("%s has %d minimum, %d optimum and %d maximum shapes, where there are %d profiles", clip(name), lo, opt, hi, groups),
				"name every input once for each profile in each list") {
				even = false
			}
		}
	}
	if !even || groups > maxProfiles {
		if groups > maxProfiles {
			r.bad(at[0], fmt.Sprintf("more than %d profiles", maxProfiles), "")
		}
		return nil
	}
	all := make([]group, groups)
	for i := range all {
		all[i] = group{at: at[0], given: [3]bool{true, true, true}}
	}
	for k, list := range lists {
		seen := map[string]int{}
		for _, it := range list {
			g := &all[seen[it.name]]
			g.lists[k] = append(g.lists[k], it)
			seen[it.name]++
		}
	}
	return all
}
