package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// Arguments of Polygraphy.
//
//	group = "--trt-min-shapes" item {item} "--trt-opt-shapes" item {item} "--trt-max-shapes" item {item}
//	item  = name ":[" [size {"," size}] "]"
//
// | fact | source (polygraphy 0.53) |
// |---|---|
// | each flag takes arguments up to the next that begins with -, and may be repeated: the nth is profile n | tools/args/backend/trt/config.py, nargs="+", action="append" |
// | the name ends at the last colon | tools/args/util/util.py, parse_meta: rpartition |
// | sizes stand in brackets, separated by commas; spaces around them pass | the same, cast |
// | integers are Python's; TensorRT's Dims are 64 bits | |
// | [] is a scalar | parse_meta drops what is empty |
// | a missing flag takes the shapes of the one before, even of another profile; here it is an error | config.py, parse_profile_shapes |
// | a name that begins with - is taken for a flag | argparse |
//
// Brackets are patterns to a shell, so what is written is quoted.
var polygraphyFlags = [3]string{"--trt-min-shapes", "--trt-opt-shapes", "--trt-max-shapes"}

// polygraphy reads the arguments of one command.
func (r *reader) polygraphy() []profiles.Profile {
	words, ok := r.command(r.inside(r.words(), polygraphyFlags), "polygraphy", func(w word) bool {
		return slices.Contains(polygraphyFlags[:], flagOf(w))
	})
	if !ok {
		return nil
	}
	var groups []group
	var n [3]int
	for i := 0; i < len(words); {
		w := words[i]
		k := slices.Index(polygraphyFlags[:], flagOf(w))
		i++
		if k < 0 {
			continue
		}
		var items []word
		if len(w.s) > len(polygraphyFlags[k]) {
			at := len(polygraphyFlags[k]) + 1
			items = []word{{value: w.slice(at, len(w.s)), shell: w.shell, open: w.open}}
		} else {
			for i < len(words) && !words[i].first && !strings.HasPrefix(words[i].s, "-") {
				items = append(items, words[i])
				i++
			}
		}
		if n[k] == len(groups) {
			groups = append(groups, group{at: w.pos(0)})
		}
		g := &groups[n[k]]
		n[k]++
		g.given[k] = true
		if len(items) == 0 {
			r.bad(w.pos(0), polygraphyFlags[k]+" has no shapes", "write NAME:[1,8] after it, separated by spaces")
		}
		g.lists[k] = r.bracketed(items)
	}
	return r.profiles(groups, polygraphyFlags)
}

// bracketed reads NAME:[SIZES] of each word.
func (r *reader) bracketed(words []word) []item {
	var all []item
	for _, w := range words {
		if !r.count(w.pos(0)) {
			break
		}
		if !r.sound(w) {
			continue
		}
		at := strings.LastIndexByte(w.s, ':')
		if at < 0 {
			r.bad(w.pos(0), noColon(w.s), "write NAME:[1,8]")
			continue
		}
		name, in := w.slice(0, at), w.slice(at+1, len(w.s))
		if !strings.HasPrefix(in.s, "[") || !strings.HasSuffix(in.s, "]") || len(in.s) < 2 {
			r.bad(in.pos(0), fmt.Sprintf("the shape %q is not in brackets", clip(in.s)), "write NAME:[1,8], quoted where spaces are in it")
			continue
		}
		if !r.named(name) {
			continue
		}
		it := item{name: name.s, at: w.pos(0), sizes: []int64{}}
		in = trim(in.slice(1, len(in.s)-1))
		if in.s != "" {
			var ok bool
			if it.sizes, ok = r.spacedSizes(in); !ok {
				continue
			}
		}
		all = append(all, it)
	}
	return all
}

// spacedSizes reads sizes with spaces around them.
func (r *reader) spacedSizes(v value) ([]int64, bool) {
	var b builder
	for i, part := range v.split(',') {
		if i > 0 {
			b.add(",", part.pos(0)-1)
		}
		part = trim(part)
		b.b, b.at = append(b.b, part.s...), append(b.at, part.at...)
	}
	return r.sizes(b.value(v.end), ',', 64)
}

func trim(v value) value {
	i, j := 0, len(v.s)
	for i < j && v.s[i] == ' ' {
		i++
	}
	for j > i && v.s[j-1] == ' ' {
		j--
	}
	return v.slice(i, j)
}

// polygraphyName says why a name cannot be written, or "".
func polygraphyName(name string) string {
	if strings.HasPrefix(name, "-") {
		return "Polygraphy takes what begins with - for a flag"
	}
	return ""
}

// emitPolygraphy writes the arguments on one line.
func emitPolygraphy(in Input) (string, error) {
	if err := check(in.Profiles, 64, polygraphyName); err != nil {
		return "", err
	}
	var args []string
	for _, p := range in.Profiles {
		for k, flag := range polygraphyFlags {
			args = append(args, flag)
			for _, r := range p.Inputs {
				shape := [][]int64{r.Min, r.Opt, r.Max}[k]
				args = append(args, shellQuote(r.Input+":["+join(shape, ",")+"]"))
			}
		}
	}
	return strings.Join(args, " ") + "\n", nil
}
