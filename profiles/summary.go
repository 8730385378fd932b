package profiles

import "github.com/trtforge/trtforge/contract"

// Line is one profile of a plan in figures.
type Line struct {
	Name    string  `json:"name"`
	Batch   Span    `json:"batch"`
	Seq     Span    `json:"seq"`
	Past    Span    `json:"past"`
	Shapes  int     `json:"shapes"`   // distinct shapes that it serves
	Share   float64 `json:"share"`    // of all passes
	FromOpt Waste   `json:"from_opt"` // of a pass that it serves, in the mean
	FromMax Waste   `json:"from_max"`
	Memory  Bytes   `json:"memory"` // at the maximum, without weights
	Total   int64   `json:"memory_bytes"`
}

// Lines are the profiles of a plan in figures.
func (p *Plan) Lines(c *contract.Contract) []Line {
	lines := make([]Line, len(p.Profiles))
	passes := make([]float64, len(p.Profiles))
	for i, s := range p.Demand {
		l, at := &lines[p.Coverage[i]], p.Coverage[i]
		opt, most := wasted(p.Profiles[at], s)
		l.Shapes += s.Shapes()
		l.FromOpt.add(opt)
		l.FromMax.add(most)
		passes[at] += s.Passes()
	}
	all := Passes(p.Demand)
	for i := range lines {
		l, from := &lines[i], p.Profiles[i]
		l.Name, l.Batch, l.Seq, l.Past = from.Name, from.Batch, from.Seq, from.Past
		if all > 0 {
			l.Share = passes[i] / all
		}
		l.FromOpt, l.FromMax = l.FromOpt.over(passes[i]), l.FromMax.over(passes[i])
		l.Memory = Memory(c, from)
		l.Total = l.Memory.Total()
	}
	return lines
}
