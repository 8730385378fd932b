package sidecar

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// maxDim bounds the index of a dimension, or of a shape tensor's value: TensorRT
// takes 8 of the ones and 64 of the others.
const maxDim = 64

// maxProfiles is more than any engine has.
const maxProfiles = 1024

// File is a .profile.
type File struct {
	Version  int // of the format: 1 until ONNX Runtime 1.14, else 2
	Profiles []profiles.Profile
}

// entry is what one profile says of one dimension.
type entry struct{ dim, min, max, opt int64 }

// Is tells whether b may be a .profile, by its last two bytes.
func Is(b []byte) bool {
	return len(b) > 2 && len(b) <= maxFile && b[len(b)-2]>>2 == typeMap && slices.Contains([]byte{1, 2, 4, 8}, b[len(b)-1])
}

// Read reads a .profile; path names it in errors, which are of class input. The two
// versions of the format have no mark: a file that makes sense as either is an error
// that asks for [ReadVersion].
func Read(b []byte, path string) (*File, error) {
	vectors, err := open(b, path)
	if err != nil {
		return nil, err
	}
	second, err2 := interpret(vectors, 2)
	first, err1 := interpret(vectors, 1)
	switch {
	case err2 == nil && err1 == nil:
		return nil, bad(path, "it makes sense in both versions of the format", "say --from sidecar-v2 if ONNX Runtime 1.15 or later wrote it, else --from sidecar-v1")
	case err2 == nil:
		return second, nil
	case err1 == nil:
		return first, nil
	}
	return nil, bad(path, err2.Error(), "remove it with its engine; ONNX Runtime writes both again")
}

// ReadVersion reads a .profile of a known version.
func ReadVersion(b []byte, path string, version int) (*File, error) {
	vectors, err := open(b, path)
	if err != nil {
		return nil, err
	}
	f, err := interpret(vectors, version)
	if err != nil {
		return nil, bad(path, err.Error(), "")
	}
	return f, nil
}

func bad(path, cause, fix string) error {
	return fault.New(fault.Input, "reading .profile", path, cause, fix)
}

func open(b []byte, path string) ([]vector, error) {
	if len(b) > maxFile {
		return nil, bad(path, fmt.Sprintf("it is larger than %d bytes", maxFile), "")
	}
	all, err := flex(b).vectors()
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("it names no input")
	}
	if err != nil {
		return nil, bad(path, err.Error(), "check that it is a .profile of ONNX Runtime's TensorRT EP")
	}
	return all, nil
}

// interpret makes profiles of vectors. What no builder writes is an error: numbers
// left over, dimensions out of range or twice, a minimum beyond its maximum, counts of
// profiles that differ.
func interpret(vectors []vector, version int) (*File, error) {
	f := &File{Version: version}
	seen := map[string]bool{}
	for _, v := range vectors {
		if seen[v.key] || v.key == "" || !utf8.ValidString(v.key) {
			return nil, fmt.Errorf("the name %q is there twice, empty or not UTF-8", v.key)
		}
		seen[v.key] = true
		dims, err := v.dims(version)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.key, err)
		}
		for _, d := range slices.Sorted(maps.Keys(dims)) {
			if f.Profiles == nil {
				f.Profiles = make([]profiles.Profile, len(dims[d]))
			}
			if len(dims[d]) != len(f.Profiles) {
				return nil, fmt.Errorf("input %q: dimension %d has %d profiles, another %d", v.key, d, len(dims[d]), len(f.Profiles))
			}
		}
	}
	if f.Profiles == nil {
		f.Profiles = make([]profiles.Profile, 1) // static inputs only, of which it tells the names
	}
	for _, v := range vectors {
		dims, _ := v.dims(version) // has just been good
		for i := range f.Profiles {
			f.Profiles[i].Inputs = append(f.Profiles[i].Inputs, ranged(v.key, dims, i))
		}
	}
	return f, nil
}

// dims is the entries of a vector by dimension, in the order of profiles.
func (v vector) dims(version int) (map[int64][]entry, error) {
	step := map[int]int{1: 3, 2: 4}[version]
	if step == 0 {
		return nil, fmt.Errorf("there is no version %d of the format", version)
	}
	if len(v.ints)%step != 0 {
		return nil, fmt.Errorf("%d numbers are not groups of %d", len(v.ints), step)
	}
	dims := map[int64][]entry{}
	for i := 0; i < len(v.ints); i += step {
		e := entry{v.ints[i], v.ints[i+1], v.ints[i+2], profiles.Unknown}
		if version == 2 {
			e.opt = v.ints[i+3]
		}
		switch {
		case e.dim < 0 || e.dim >= maxDim:
			return nil, fmt.Errorf("there is no dimension %d", e.dim)
		case e.min > e.max || version == 2 && (e.opt < e.min || e.opt > e.max):
			return nil, fmt.Errorf("dimension %d: %d, %d, %d is not min <= opt <= max", e.dim, e.min, e.opt, e.max)
		case e.min <= profiles.Unknown:
			return nil, fmt.Errorf("dimension %d: %d is no size", e.dim, e.min)
		case version == 1 && len(dims[e.dim]) > 0, len(dims[e.dim]) == maxProfiles:
			return nil, fmt.Errorf("dimension %d is there twice", e.dim)
		}
		dims[e.dim] = append(dims[e.dim], e)
	}
	return dims, nil
}

// ranged is an input's range in profile i, up to its last dynamic dimension.
func ranged(input string, dims map[int64][]entry, i int) profiles.Range {
	rank := 0
	for d := range dims {
		rank = max(rank, int(d)+1)
	}
	r := profiles.Range{Input: input, Min: unknown(rank), Opt: unknown(rank), Max: unknown(rank)}
	for d, entries := range dims {
		r.Min[d], r.Opt[d], r.Max[d] = entries[i].min, entries[i].opt, entries[i].max
	}
	return r
}

func unknown(n int) []int64 { return slices.Repeat([]int64{profiles.Unknown}, n) }

// Fill is the profiles with what a contract knows: sizes that the graph fixes,
// inputs that are wholly static, the graph's order. Inputs that the graph does not
// have stay, at the end; a dimension that the graph leaves open and the file does not
// tell stays unknown.
func (f *File) Fill(c *contract.Contract) []profiles.Profile {
	all := make([]profiles.Profile, len(f.Profiles))
	for i, p := range f.Profiles {
		told := map[string]profiles.Range{}
		for _, r := range p.Inputs {
			told[r.Input] = r
		}
		all[i] = p
		all[i].Inputs = nil
		for _, t := range c.Inputs {
			r, ok := told[t.Name]
			if ok || static(t) {
				all[i].Inputs = append(all[i].Inputs, fill(t, r))
			}
			delete(told, t.Name)
		}
		for _, r := range p.Inputs {
			if _, left := told[r.Input]; left {
				all[i].Inputs = append(all[i].Inputs, r)
			}
		}
	}
	return all
}

func static(t contract.Tensor) bool {
	return !slices.ContainsFunc(t.Dims, func(d contract.Dim) bool { return d.Size == 0 && d.Role != contract.Static })
}

// fill is a range of a tensor's rank.
func fill(t contract.Tensor, r profiles.Range) profiles.Range {
	if len(r.Min) > len(t.Dims) {
		return r // values of a shape tensor, or another graph: lint will say
	}
	full := profiles.Range{Input: t.Name}
	for i, into := range []*[]int64{&full.Min, &full.Opt, &full.Max} {
		*into = append(slices.Clone([][]int64{r.Min, r.Opt, r.Max}[i]), unknown(len(t.Dims)-len(r.Min))...)
		for d := range t.Dims {
			if (*into)[d] == profiles.Unknown && (t.Dims[d].Size > 0 || t.Dims[d].Role == contract.Static) {
				(*into)[d] = t.Dims[d].Size
			}
		}
	}
	return full
}
