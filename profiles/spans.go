package profiles

import "github.com/trtforge/trtforge/contract"

// WithSpans fills in batch, sequence and past of profiles that came without them,
// as from another tool's text: what the first input with a dimension of that role
// has. A past that only a total tells is the total less the sequence.
func WithSpans(c *contract.Contract, all []Profile) []Profile {
	out := make([]Profile, len(all))
	for i, p := range all {
		if p.Batch == (Span{}) && p.Seq == (Span{}) && p.Past == (Span{}) {
			p.span(c)
		}
		out[i] = p
	}
	return out
}

func (p *Profile) span(c *contract.Contract) {
	ranges := map[string]Range{}
	for _, r := range p.Inputs {
		ranges[r.Input] = r
	}
	spans := map[contract.Role]Span{}
	for _, t := range c.Inputs {
		r := ranges[t.Name]
		for i, d := range t.Dims {
			_, known := spans[d.Role]
			if known || r.Values || i >= min(len(r.Min), len(r.Opt), len(r.Max)) || r.Min[i] < 0 {
				continue
			}
			spans[d.Role] = Span{int(r.Min[i]), int(r.Opt[i]), int(r.Max[i])}
		}
	}
	p.Batch, p.Seq, p.Past = spans[contract.Batch], spans[contract.Seq], spans[contract.Past]
	if total, ok := spans[contract.Total]; ok && spans[contract.Past] == (Span{}) {
		p.Past = Span{max(total.Min-p.Seq.Min, 0), max(total.Opt-p.Seq.Opt, 0), max(total.Max-p.Seq.Max, 0)}
	}
}
