package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"

	"github.com/trtforge/trtforge/profiles"
)

// The map of shapes has a panel for each batch size, or for neighbours that are
// asked for the same, with past tokens across and new tokens up. Prefill is the
// column at past 0, decode the row at one new token.

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

// dotsOf divides a block into dots, few enough to draw and close enough to be
// seen as a line where they are many.
func dotsOf(block profiles.Shape, profile int) []dot {
	const most = 200
	last := block.Last()
	n := max(last.Seq-block.Seq, last.Past-block.Past) + 1
	batches := last.Batch - block.Batch + 1
	var all []dot
	for i := range min(n, most) {
		a, b := i*n/min(n, most), (i+1)*n/min(n, most)-1
		d := dot{span{block.Seq, block.Seq}, span{block.Past, block.Past}, (b - a + 1) * batches, block.Count * float64((b-a+1)*batches), profile}
		if block.Phase == profiles.Decode {
			d.past = span{block.Past + a, block.Past + b}
		} else {
			d.seq = span{block.Seq + a, block.Seq + b}
		}
		all = append(all, d)
	}
	return all
}

// panelOf is what one batch size asks for, or neighbours alike, and what holds it.
type panelOf struct {
	batch span
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
	byBatch := map[span]*panelOf{}
	at := func(batch span) *panelOf {
		if byBatch[batch] == nil {
			byBatch[batch] = &panelOf{batch: batch}
		}
		return byBatch[batch]
	}
	demand, serving := coverage(plan)
	for i, s := range demand {
		p := at(span{s.Batch, s.Last().Batch})
		p.dots = append(p.dots, dotsOf(s, serving[i])...)
	}
	if len(demand) == 0 {
		for _, p := range plan.Profiles {
			at(span{p.Batch.Min, p.Batch.Max})
		}
	}
	var all []panelOf
	for _, p := range byBatch {
		for i, profile := range plan.Profiles {
			if within(p.batch.from, profile.Batch) || within(p.batch.to, profile.Batch) {
				p.areas = append(p.areas, i)
			}
		}
		all = append(all, *p)
	}
	bySize := func(a, b panelOf) int {
		return cmp.Or(cmp.Compare(a.batch.from, b.batch.from), cmp.Compare(a.batch.to, b.batch.to))
	}
	slices.SortFunc(all, bySize)
	if len(all) > mostPanels {
		slices.SortStableFunc(all, func(a, b panelOf) int { return b.compare(a) })
		slices.SortFunc(all[:mostPanels], bySize)
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
