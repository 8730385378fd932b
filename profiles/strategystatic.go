package profiles

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// static is a profile for each distinct shape.
func (d *deriver) static() ([]Profile, error) {
	type key struct{ batch, seq, past int }
	seen := map[key]bool{}
	var all []Profile
	for s := range Each(d.demand) {
		k := key{s.Batch, s.Seq, s.Past}
		if seen[k] {
			continue
		}
		if len(all) == maxStatic {
			return nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("the demand has more than %d distinct shapes, and strategy static makes a profile of each", maxStatic),
				`use strategy "bucketed"`)
		}
		seen[k] = true
		p := around([]Shape{s})
		p.Name = fmt.Sprintf("%dx%d", s.Batch, s.Seq)
		if s.Past > 0 {
			p.Name = fmt.Sprintf("%dx%d-%d", s.Batch, s.Seq, s.Past)
		}
		all = append(all, d.with(p))
	}
	return all, nil
}

// buffered tells whether the graph's cache is a buffer of fixed length.
func buffered(c *contract.Contract) bool {
	for _, t := range c.Inputs {
		if slices.ContainsFunc(t.Dims, func(d contract.Dim) bool { return d.Role == contract.Buffer }) {
			return true
		}
	}
	return false
}

// staticKV is buckets of lengths for prefill and one static shape for decode of
// each batch size: the past is no longer part of a shape. Where batch sizes are
// too many for the profiles that are allowed, decode keeps one with a range. Decode
// comes first: a bucket that begins at one token holds its steps as well.
func (d *deriver) staticKV() ([]Profile, error) {
	if !buffered(d.c) {
		return nil, fault.New(fault.Usage, "deriving profiles", "", "strategy static-kv needs a graph whose cache is a buffer, and the cache of this one grows",
			"export with a static cache, or use another strategy")
	}
	if d.o.Reach == First || d.o.MaxProfiles == 1 {
		return []Profile{d.oneKV()}, nil
	}
	most := d.most()
	var prompts []group
	var decode []Shape
	for _, g := range groups(d.demand) {
		if g.name == "decode" {
			decode = g.shapes
			continue
		}
		g.key = bySeq // also of chunks: past is no part of their shape
		if n := len(prompts); n > 0 {
			prompts[n-1].shapes = append(prompts[n-1].shapes, g.shapes...)
			continue
		}
		prompts = append(prompts, g)
	}
	var steps []Profile
	sizes := batchSizes(decode, most)
	if len(sizes) == 0 && len(decode) > 0 || len(sizes) > max(most-len(prompts), 1) {
		p := around(decode)
		p.Name = "decode"
		steps = []Profile{d.with(p)}
	} else {
		for _, batch := range sizes {
			p := around(atBatch(decode, batch))
			p.Name = "decode"
			if len(sizes) > 1 {
				p.Name = fmt.Sprintf("decode-%d", batch)
			}
			steps = append(steps, d.with(p))
		}
	}
	if len(prompts)+len(steps) > most {
		return nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("strategy static-kv needs %d profiles, and only %d are allowed", len(prompts)+len(steps), most), `use strategy "wide"`)
	}
	return merge(append(steps, d.buckets(prompts, most-len(steps))...)), nil
}

// oneKV is the only profile of static-kv where one can be reached: the past is no
// part of a shape, so it spans from one token to the longest prompt.
func (d *deriver) oneKV() Profile {
	p := d.wide()
	p.Name = "static-kv"
	return p
}
