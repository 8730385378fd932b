package report

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/trtforge/trtforge/internal/svg"
	"github.com/trtforge/trtforge/profiles"
)

// cell is one demanded shape on the map, or of very many a stretch of them.
type cell struct {
	batch, length int // length: prompt tokens in prefill, total tokens else
	profile       int // the profile that serves it; -1 = none
	more          int // lengths after the first
}

// chart is one phase's part of the coverage map.
type chart struct {
	title, axis string
	cells       []cell
	areas       []area
}

// area is the part of a chart that a profile covers.
type area struct {
	profile        int
	name           string
	b0, b1, l0, l1 int // batch and length, both ends included
	optB, optL     int // the optimum; optL is 0 where it lies in the other phase
}

// shapes draws which profile covers what the workload asks for. Nil without
// a plan that has a demand.
func (d *Data) shapes() *picture {
	if d.Plan == nil || len(d.Plan.Demand) == 0 {
		return nil
	}
	charts := charts(d.Plan)
	p := &picture{Caption: "Each filled cell is a shape that the workload produces, in the colour of the profile that serves it; " +
		"outlines are what a profile covers, the ring its optimum. A red cell with a cross is a shape that no profile covers."}
	p.Wide = template.HTML(drawCharts("coverage-w", charts, wide, d.Plan))
	p.Narrow = []template.HTML{template.HTML(drawCharts("coverage-n", charts, narrow, d.Plan))}
	return p
}

// charts sorts the demand into prefill and decode.
func charts(plan *profiles.Plan) []chart {
	prefill := chart{title: "Prefill", axis: "prompt tokens"}
	decode := chart{title: "Decode", axis: "total tokens in the cache"}
	demand, serving := coverage(plan)
	few := profiles.Count(demand) <= maxCells
	for i, s := range demand {
		cells := cells(s, serving[i], few)
		if s.Past == 0 {
			prefill.cells = append(prefill.cells, cells...)
		} else {
			decode.cells = append(decode.cells, cells...)
		}
	}
	for i, p := range plan.Profiles {
		a := area{profile: i, name: p.Name, b0: p.Batch.Min, b1: p.Batch.Max, optB: p.Batch.Opt}
		if p.Past.Min == 0 {
			a.l0, a.l1 = p.Seq.Min, p.Seq.Max
			if p.Past.Opt == 0 {
				a.optL = p.Seq.Opt
			}
			prefill.areas = append(prefill.areas, a)
		}
		if p.Past.Max > 0 && p.Seq.Min <= 1 {
			a.l0, a.l1, a.optL = p.Past.Min+1, p.Past.Max+1, 0
			if p.Past.Opt > 0 {
				a.optL = p.Past.Opt + 1
			}
			decode.areas = append(decode.areas, a)
		}
	}
	var all []chart
	for _, c := range []chart{prefill, decode} {
		if len(c.cells) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// maxCells is how many shapes are drawn one by one.
const maxCells = 4000

// cells are the shapes of a block: all of them where they are few, else a
// stretch of lengths for its smallest and its largest batch.
func cells(s profiles.Shape, profile int, few bool) (all []cell) {
	if few {
		for one := range profiles.Each([]profiles.Shape{s}) {
			all = append(all, cell{batch: one.Batch, length: one.Total(), profile: profile})
		}
		return all
	}
	last := s.Last()
	for b := s.Batch; b <= last.Batch; b += max(last.Batch-s.Batch, 1) {
		all = append(all, cell{b, s.Total(), profile, last.Total() - s.Total()})
	}
	return all
}

// coverage is the demand and for each of its blocks the profile that serves it,
// -1 where none does: as the plan says, or else by its profiles' spans.
func coverage(plan *profiles.Plan) (demand []profiles.Shape, serving []int) {
	if len(plan.Coverage) == len(plan.Demand) {
		return plan.Demand, plan.Coverage
	}
	for _, s := range plan.Demand {
		if at := covering(plan, s); at >= 0 || s.Shapes() > maxCells {
			demand, serving = append(demand, s), append(serving, at)
			continue
		}
		for one := range profiles.Each([]profiles.Shape{s}) {
			demand, serving = append(demand, one), append(serving, covering(plan, one))
		}
	}
	return demand, serving
}

// covering is the first profile whose spans hold a block of shapes, or -1.
func covering(plan *profiles.Plan, s profiles.Shape) int {
	last := s.Last()
	return slices.IndexFunc(plan.Profiles, func(p profiles.Profile) bool {
		return within(s.Batch, p.Batch) && within(s.Seq, p.Seq) && within(s.Past, p.Past) &&
			within(last.Batch, p.Batch) && within(last.Seq, p.Seq) && within(last.Past, p.Past)
	})
}

func within(v int, s profiles.Span) bool { return s.Min <= v && v <= s.Max }

// The measures of the coverage map in pixels.
const (
	bandHeight = 30.0
	chartHead  = 26.0
	chartFoot  = 40.0
	mapLeft    = 58.0
)

// drawCharts draws the charts below one another on one scale of length.
func drawCharts(id string, charts []chart, width float64, plan *profiles.Plan) string {
	longest, batches := extent(charts)
	height := 0.0
	for range charts {
		height += chartHead + chartFoot + bandHeight*float64(len(batches))
	}
	c := svg.New(id, width, height, "Coverage of shapes by profiles", describe(plan))
	x := svg.Scale{From: 0.5, To: float64(longest) + 0.5, A: mapLeft, B: width - 8}
	y := 0.0
	for _, ch := range charts {
		ch.draw(c, x, y, batches)
		y += chartHead + chartFoot + bandHeight*float64(len(batches))
	}
	return c.String()
}

// extent is the longest length and every batch that a chart shows.
func extent(charts []chart) (longest int, batches []int) {
	for _, ch := range charts {
		for _, c := range ch.cells {
			longest, batches = max(longest, c.length+c.more), append(batches, c.batch)
		}
		for _, a := range ch.areas {
			longest, batches = max(longest, a.l1), append(batches, a.b0, a.b1)
		}
	}
	slices.Sort(batches)
	return longest, slices.Compact(batches)
}

// draw draws one chart with its top at y.
func (ch chart) draw(c *svg.Canvas, x svg.Scale, y float64, batches []int) {
	top := y + chartHead
	bottom := top + bandHeight*float64(len(batches))
	band := func(batch int) float64 { // the middle of a batch's band, small batches below
		i, found := slices.BinarySearch(batches, batch)
		at := float64(i)
		if !found { // an optimum between two batches that occur
			at -= 0.5
		}
		return bottom - bandHeight*(at+0.5)
	}
	c.Text("panel", 0, y+13, svg.Start, ch.title)
	for _, b := range batches {
		c.Text("tick", mapLeft-10, band(b)+4, svg.End, fmt.Sprintf("batch %d", b))
		c.Line("hair", mapLeft, band(b)+bandHeight/2, x.B, band(b)+bandHeight/2)
	}
	for _, t := range svg.Ticks(0, x.To, int(max(3, (x.B-x.A)/110))) {
		t = max(t, 1)
		if t <= x.To {
			c.Line("tickmark", x.At(t), bottom, x.At(t), bottom+4)
			c.Text("tick", x.At(t), bottom+17, svg.Middle, fmt.Sprintf("%.0f", t))
		}
	}
	c.Text("tick", x.B, bottom+32, svg.End, ch.axis)
	for _, run := range runs(ch.cells, x) {
		run.draw(c, x, band(run.batch))
	}
	for i, a := range ch.areas {
		a.draw(c, x, band(a.b1)-bandHeight/2, band(a.b0)+bandHeight/2, band, i)
	}
}

// run is cells side by side of one batch and profile.
type run struct {
	cell
	to    int // length of the last cell
	cells int
}

// runs joins neighbours into one bar where cells are too narrow to be seen apart.
func runs(cells []cell, x svg.Scale) []run {
	sorted := slices.Clone(cells)
	slices.SortFunc(sorted, func(a, b cell) int {
		if a.batch != b.batch {
			return a.batch - b.batch
		}
		return a.length - b.length
	})
	join := x.At(2)-x.At(1) < 4
	var all []run
	for _, c := range sorted {
		if n := len(all); join && n > 0 && all[n-1].batch == c.batch && all[n-1].profile == c.profile && c.length <= all[n-1].to+1 {
			all[n-1].to, all[n-1].cells = max(all[n-1].to, c.length+c.more), all[n-1].cells+1+c.more
			continue
		}
		all = append(all, run{cell: c, to: c.length + c.more, cells: 1 + c.more})
	}
	return all
}

func (r run) draw(c *svg.Canvas, x svg.Scale, middle float64) {
	a, b := x.At(float64(r.length)-0.5), x.At(float64(r.to)+0.5)
	class, tip := fmt.Sprintf("cell p%d", r.profile%4), fmt.Sprintf("batch %d, %d tokens", r.batch, r.length)
	if r.cells > 1 {
		tip = fmt.Sprintf("batch %d, %d to %d tokens: %d shapes", r.batch, r.length, r.to, r.cells)
	}
	if r.profile < 0 {
		class, tip = "cell uncovered", tip+", covered by no profile"
	}
	pad := min(1, (b-a)/6)
	c.Group(class, tip, func() {
		c.Rect("", a+pad, middle-9, max(b-a-2*pad, 2), 18, 2)
		if r.profile < 0 {
			m := (a + b) / 2
			c.Line("cross", m-4, middle-4, m+4, middle+4)
			c.Line("cross", m-4, middle+4, m+4, middle-4)
		}
	})
}

func (a area) draw(c *svg.Canvas, x svg.Scale, top, bottom float64, band func(int) float64, i int) {
	l, r := x.At(float64(a.l0)-0.5), x.At(float64(a.l1)+0.5)
	inset := 1.5 + 2*float64(i)
	c.Group(fmt.Sprintf("area p%d", a.profile%4), fmt.Sprintf("profile %s: batch %d to %d, %d to %d tokens", a.name, a.b0, a.b1, a.l0, a.l1), func() {
		c.Rect("outline", l, top+inset-3, r-l, bottom-top-2*inset+6, 4)
		if a.optL >= a.l0 && a.optL <= a.l1 && a.optB >= a.b0 && a.optB <= a.b1 {
			c.Circle("opt", x.At(float64(a.optL)), band(a.optB), 5)
		}
	})
	c.Text(fmt.Sprintf("arealabel p%d", a.profile%4), min(r, x.B), top-6-13*float64(i), svg.End, fmt.Sprintf("profile %d · %s", a.profile, a.name))
}

// describe says in words what the map shows.
func describe(plan *profiles.Plan) string {
	total, covered := tallyShapes(plan)
	return fmt.Sprintf("%d of %d distinct shapes of the workload lie inside one of %d profiles.", covered, total, len(plan.Profiles))
}

// tallyShapes counts the distinct shapes of the demand, and those that a profile
// holds.
func tallyShapes(plan *profiles.Plan) (total, covered int) {
	demand, serving := coverage(plan)
	for i, s := range demand {
		if total += s.Shapes(); serving[i] >= 0 {
			covered += s.Shapes()
		}
	}
	return total, covered
}
