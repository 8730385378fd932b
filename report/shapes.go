package report

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/profiles"
)

// The map of shapes has a panel for each batch size, past tokens across and new
// tokens up. Prefill is the column at past 0, decode the row at one new token.

// dot is passes of nearly one shape, close enough to be one mark.
type dot struct {
	seq, past span
	shapes    int
	count     float64 // passes
	profile   int     // that serves them; -1 = none
}

// span is a range of whole numbers, both ends included.
type span struct{ from, to int }

// onto is the span that holds both.
func (s span) onto(t span) span { return span{min(s.from, t.from), max(s.to, t.to)} }

func (s span) String() string {
	if s.from == s.to {
		return fmt.Sprint(s.from)
	}
	return fmt.Sprintf("%d to %d", s.from, s.to)
}

// panelOf is what one batch size asks for and what holds it.
type panelOf struct {
	batch int
	dots  []dot
	areas []int // profiles that take this batch
}

// mostPanels bounds a map: more batch sizes than this tell nothing new.
const mostPanels = 6

// shapes draws which profile covers what the workload asks for. Nil without
// anything to draw.
func (d *Data) shapes() *picture { return drawShapes(d.Plan) }

func drawShapes(plan *profiles.Plan) *picture {
	if plan == nil || len(plan.Profiles)+len(plan.Demand) == 0 {
		return nil
	}
	all := panels(plan)
	shown := all[:min(len(all), mostPanels)]
	p := &picture{Caption: "A panel for each batch size. Each dot is a shape that the workload asks for, larger the more often, in the colour of the profile " +
		"that serves it; prefill stands at past 0, decode on the lowest row. Areas are what a profile holds, the ring its optimum. " +
		"A red cross is a shape that no profile holds. Scales are logarithmic."}
	if more := len(all) - len(shown); more > 0 {
		p.Caption += fmt.Sprintf(" Not shown: %s, with fewer passes.", plural(more, "more batch size"))
	}
	p.Wide = template.HTML(newMap(plan, shown, wide).draw("coverage-w"))
	p.Narrow = []template.HTML{template.HTML(newMap(plan, shown, narrow).draw("coverage-n"))}
	return p
}

// panels are the batch sizes that occur, those with gaps and then those with the
// most passes first where there are too many, else by size.
func panels(plan *profiles.Plan) []panelOf {
	byBatch := map[int]*panelOf{}
	at := func(batch int) *panelOf {
		if byBatch[batch] == nil {
			byBatch[batch] = &panelOf{batch: batch}
		}
		return byBatch[batch]
	}
	serving := coverage(plan)
	for i, s := range plan.Demand {
		p := at(s.Batch)
		p.dots = append(p.dots, dot{span{s.Seq, s.Seq}, span{s.Past, s.Past}, 1, s.Count, serving[i]})
	}
	if len(plan.Demand) == 0 {
		for _, p := range plan.Profiles {
			at(p.Batch.Opt)
		}
	}
	all := []panelOf{}
	for _, batch := range slices.Sorted(maps.Keys(byBatch)) {
		p := *byBatch[batch]
		for i, profile := range plan.Profiles {
			if within(batch, profile.Batch) {
				p.areas = append(p.areas, i)
			}
		}
		all = append(all, p)
	}
	if len(all) > mostPanels {
		slices.SortStableFunc(all, func(a, b panelOf) int { return b.compare(a) })
		slices.SortFunc(all[:mostPanels], func(a, b panelOf) int { return a.batch - b.batch })
	}
	return all
}

// compare ranks panels by what a reader must see: gaps, then passes.
func (p panelOf) compare(q panelOf) int {
	weigh := func(p panelOf) (gaps, passes float64) {
		for _, d := range p.dots {
			passes += d.count
			if d.profile < 0 {
				gaps += d.count
			}
		}
		return gaps, passes
	}
	g, n := weigh(p)
	h, m := weigh(q)
	return cmp.Or(cmp.Compare(g, h), cmp.Compare(n, m))
}
