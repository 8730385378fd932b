package syntax

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// Arguments of trtexec.
//
//	group = ["--profile=" number] "--minShapes=" list "--optShapes=" list "--maxShapes=" list
//	list  = item {"," item}
//	item  = name ":" size {"x" size} | "'" name "'" ":" ... | name ":" ["scalar"]
//
// | fact | source (NVIDIA/TensorRT, samples/common/sampleOptions.cpp, 11.1) |
// |---|---|
// | an argument is cut at its first = | argsToArgumentsMap |
// | a list is cut at every comma, quoted or not: no name may hold one | splitToStringVec, getShapesBuild |
// | the name ends at the last colon, or at the second ' where there are two | splitNameAndValue |
// | every ' is taken out of a name | removeSingleQuotationMarks |
// | sizes are std::stoi: 32 bits | stringToValue<int64_t> |
// | "scalar", or nothing, is a shape of no dimensions | stringToValue<vector<int64_t>> |
// | the three lists stand directly behind their --profile=N, in any order | getAndDelOptionBehind |
// | numbers are contiguous from 0, none twice | getOptimizationProfiles |
// | a missing list is taken from another with a warning; here it is an error | processShapes |
// | two of one list without --profile are refused | BuildOptions::parse |
var trtexecFlags = [3]string{"--minShapes", "--optShapes", "--maxShapes"}

const trtexecProfile = "--profile"

// trtexec reads the arguments of one command.
func (r *reader) trtexec() []profiles.Profile {
	words, ok := r.command(r.inside(r.words(), trtexecFlags), "trtexec", func(w word) bool {
		return slices.Contains(trtexecFlags[:], flagOf(w)) || flagOf(w) == trtexecProfile
	})
	if !ok {
		return nil
	}
	groups := map[int]*group{}
	numbered, lone := false, &group{}
	current, behind := lone, 0
	for _, w := range words {
		flag := flagOf(w)
		k := slices.Index(trtexecFlags[:], flag)
		switch {
		case flag == trtexecProfile:
			numbered = true
			current, behind = r.numberedGroup(w, groups), 0
		case k >= 0 && current != nil:
			if numbered && behind > 2 {
				r.bad(w.pos(0), flag+" does not stand directly behind its --profile=N, where trtexec looks for it", "put the three lists right behind --profile=N")
				continue
			}
			behind++
			r.flagList(w, flag, k, current)
		case k < 0:
			behind = 3 // another argument: what comes after stands alone
		}
	}
	if !numbered {
		return r.profiles([]group{*lone}, trtexecFlags)
	}
	return r.profiles(r.contiguous(groups), trtexecFlags)
}

// flagOf is the part of an argument before its first =.
func flagOf(w word) string {
	flag, _, _ := strings.Cut(w.s, "=")
	return flag
}

// command gives the words of the one command among words that sets profiles. A
// command begins at the tool's name; text without it is one command.
func (r *reader) command(words []word, tool string, sets func(word) bool) ([]word, bool) {
	var mine []word
	begin, holds := 0, false
	for i := 0; i <= len(words); i++ {
		if i < len(words) && (path.Base(words[i].s) != tool || strings.HasPrefix(words[i].s, "-")) {
			continue
		}
		if part := words[begin:i]; slices.ContainsFunc(part, sets) {
			if holds {
				r.bad(part[0].pos(0), "a second "+tool+" command sets profiles", "give the text of one command")
				return nil, false
			}
			mine, holds = part, true
		}
		begin = i
	}
	return mine, true
}

// numberedGroup is the group of --profile=N, nil where N is none.
func (r *reader) numberedGroup(w word, groups map[int]*group) *group {
	_, n, has := strings.Cut(w.s, "=")
	i, err := number(n, 32)
	switch {
	case !r.sound(w):
	case !has || err != nil || i < 0 || i >= maxProfiles:
		r.bad(w.pos(0), fmt.Sprintf("%q is no profile's number", clip(w.s)), "write --profile=0, --profile=1 and so on")
	case groups[int(i)] != nil:
		r.bad(w.pos(0), fmt.Sprintf("profile %d is given twice", i), "")
	default:
		groups[int(i)] = &group{at: w.pos(0)}
		return groups[int(i)]
	}
	return nil
}

// flagList adds the list of --minShapes=LIST or one of its fellows to a group.
func (r *reader) flagList(w word, flag string, k int, g *group) {
	_, _, has := strings.Cut(w.s, "=")
	switch {
	case !r.sound(w):
	case !has:
		r.bad(w.pos(0), flag+" has no value", "write "+flag+"=LIST without a space")
	case g.given[k]:
		r.bad(w.pos(0), flag+" is given twice for one profile", "begin each profile with --profile=N")
	default:
		if g.at == 0 {
			g.at = w.pos(0)
		}
		g.lists[k] = r.list(w.slice(len(flag)+1, len(w.s)), cutTrtexec)
	}
	g.given[k] = true
}

// contiguous is the groups in the order of their numbers, which leave none out.
func (r *reader) contiguous(groups map[int]*group) []group {
	all := make([]group, 0, len(groups))
	for i := range len(groups) {
		g := groups[i]
		if g == nil {
			if len(r.errs) == 0 {
				r.bad(0, fmt.Sprintf("there is no profile %d among %d", i, len(groups)), "number profiles from 0 without a gap")
			}
			return nil
		}
		all = append(all, *g)
	}
	return all
}

// cutTrtexec takes an item apart as splitNameAndValue does.
func cutTrtexec(r *reader, v value) (name, sizes value, ok bool) {
	at := strings.LastIndexByte(v.s, ':')
	switch n := strings.Count(v.s, "'"); n {
	case 0:
		if at < 0 {
			r.bad(v.pos(0), noColon(v.s), "write NAME:SHAPE, as input_ids:1x8")
			return value{}, value{}, false
		}
		name = v.slice(0, at)
	case 2:
		i, j := strings.IndexByte(v.s, '\''), strings.LastIndexByte(v.s, '\'')
		if i > 0 || j+1 >= len(v.s) || v.s[j+1] != ':' {
			r.bad(v.pos(0), fmt.Sprintf("%q is not 'NAME':SHAPE", clip(v.s)), "")
			return value{}, value{}, false
		}
		name, at = v.slice(1, j), j+1
	default:
		r.bad(v.pos(0), fmt.Sprintf("%q has %d single quotes; trtexec takes two or none", clip(v.s), n), "")
		return value{}, value{}, false
	}
	if sizes = v.slice(at+1, len(v.s)); sizes.s == "scalar" {
		sizes = sizes.slice(0, 0)
	}
	return name, sizes, true
}

// trtexecName says why a name cannot be written, or "".
func trtexecName(name string) string {
	switch {
	case strings.Contains(name, ","):
		return "trtexec separates by commas, quoted or not"
	case strings.Contains(name, "'"):
		return "trtexec takes single quotes out of a name"
	}
	return ""
}

// emitTrtexec writes the arguments on one line, numbered where there are several
// profiles.
func emitTrtexec(in Input) (string, error) {
	args, err := TrtexecArguments(in.Profiles)
	for i, a := range args {
		args[i] = shellQuote(a)
	}
	return strings.Join(args, " ") + "\n", err
}

// TrtexecArguments are the profiles as arguments of trtexec, unquoted, for a program
// that starts it. Its errors are those of [Emit].
func TrtexecArguments(all []profiles.Profile) ([]string, error) {
	if err := check(all, 32, trtexecName); err != nil {
		return nil, err
	}
	var args []string
	for i, p := range all {
		if len(all) > 1 {
			args = append(args, fmt.Sprintf("%s=%d", trtexecProfile, i))
		}
		var lists [3][]string
		for _, r := range p.Inputs {
			for k, shape := range [][]int64{r.Min, r.Opt, r.Max} {
				sizes := join(shape, "x")
				if len(shape) == 0 {
					sizes = "scalar"
				}
				lists[k] = append(lists[k], r.Input+":"+sizes)
			}
		}
		for k, flag := range trtexecFlags {
			args = append(args, flag+"="+strings.Join(lists[k], ","))
		}
	}
	return args, nil
}
