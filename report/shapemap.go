package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/svg"
	"github.com/trtforge/trtforge/profiles"
)

// The measures of the map of shapes in pixels.
const (
	mapPlot    = 190.0 // height of a panel's plot
	mapHead    = 28.0
	mapFoot    = 46.0
	mapLeft    = 52.0
	mapGap     = 40.0
	mapRim     = 9.0 // between the frame and the outermost shapes
	mapBin     = 7.0 // shapes closer than this are one dot
	twoAbreast = 700.0
)

// shapeMap lays panels out on common scales.
type shapeMap struct {
	plan         *profiles.Plan
	panels       []panelOf
	width, plot  float64 // of the picture and of a panel's plot
	columns      int
	mostPast     int
	mostSeq      int
	mostPerShape float64 // passes of the most frequent dot
}

func newMap(plan *profiles.Plan, panels []panelOf, width float64) *shapeMap {
	m := &shapeMap{plan: plan, panels: panels, width: width, columns: 1, mostSeq: 1}
	if width >= twoAbreast && len(panels) > 1 {
		m.columns = 2
	}
	m.plot = (width-mapGap*float64(m.columns-1))/float64(m.columns) - mapLeft
	for _, p := range panels {
		for _, d := range p.dots {
			m.mostPast, m.mostSeq = max(m.mostPast, d.past.to), max(m.mostSeq, d.seq.to)
		}
		for _, i := range p.areas {
			m.mostPast, m.mostSeq = max(m.mostPast, plan.Profiles[i].Past.Max), max(m.mostSeq, plan.Profiles[i].Seq.Max)
		}
	}
	for i := range m.panels {
		m.panels[i].dots = m.merge(panels[i].dots)
		for _, d := range m.panels[i].dots {
			m.mostPerShape = max(m.mostPerShape, d.count)
		}
	}
	return m
}

// across and up are the offsets of a past and of a seq from the plot's lower left
// corner. Past has a 0, so its scale is the logarithm of past + 1.
func (m *shapeMap) across(past int) float64 {
	return svg.Scale{From: 1, To: float64(max(m.mostPast, 1) + 1), A: mapRim, B: m.plot - mapRim, Log: true}.At(float64(past + 1))
}

func (m *shapeMap) up(seq int) float64 {
	return svg.Scale{From: 1, To: float64(max(m.mostSeq, 2)), A: mapRim, B: mapPlot - mapRim, Log: true}.At(float64(max(seq, 1)))
}

// merge joins shapes that would lie on one another.
func (m *shapeMap) merge(dots []dot) []dot {
	type place struct{ x, y, profile int }
	of := func(d dot) place {
		return place{int(m.across(d.past.from) / mapBin), int(m.up(d.seq.from) / mapBin), d.profile}
	}
	at := map[place]int{}
	var all []dot
	for _, d := range dots {
		i, known := at[of(d)]
		if !known {
			at[of(d)] = len(all)
			all = append(all, d)
			continue
		}
		all[i] = dot{all[i].seq.onto(d.seq), all[i].past.onto(d.past), all[i].shapes + d.shapes, all[i].count + d.count, d.profile}
	}
	slices.SortStableFunc(all, func(a, b dot) int { return cmp.Compare(b.profile, a.profile) }) // gaps last, on top
	return all
}

func (m *shapeMap) draw(id string) string {
	rows := (len(m.panels) + m.columns - 1) / m.columns
	tall := mapHead + mapPlot + mapFoot
	c := svg.New(id, m.width, tall*float64(rows), "Shapes by past and new tokens, and the profiles that hold them", m.describe())
	for i, p := range m.panels {
		x := float64(i%m.columns) * (mapLeft + m.plot + mapGap)
		m.panel(c, p, x+mapLeft, tall*float64(i/m.columns)+mapHead)
	}
	return c.String()
}

// panel draws one batch size with its plot's upper left corner at x, y.
func (m *shapeMap) panel(c *svg.Canvas, p panelOf, x, y float64) {
	bottom := y + mapPlot
	title := "Batch " + p.batch.String()
	c.Text("panel", x, y-10, svg.Start, title)
	c.Text("tick", x+svg.TextWidth(title, 13)+18, y-10, svg.Start, "new tokens a run, upwards")
	c.Rect("plotframe", x, y, m.plot, mapPlot, 3)
	last := math.Inf(-1)
	for _, past := range powers(0, m.mostPast) {
		at := x + m.across(past)
		c.Line("tickmark", at, bottom, at, bottom+4)
		if text := fmt.Sprint(past); at-last > 12+svg.TextWidth(text, 12) {
			c.Text("tick", at, bottom+17, svg.Middle, text)
			last = at
		}
	}
	last = math.Inf(1)
	for _, seq := range powers(1, m.mostSeq) {
		at := bottom - m.up(seq)
		c.Line("tickmark", x-4, at, x, at)
		if last-at > 15 {
			c.Text("tick", x-8, at+4, svg.End, fmt.Sprint(seq))
			last = at
		}
	}
	c.Text("tick", x+m.plot, bottom+34, svg.End, "past tokens")
	for _, i := range p.areas {
		m.area(c, i, x, bottom)
	}
	for _, d := range p.dots {
		m.dot(c, d, p.batch, x, bottom)
	}
}

// powers are lo, then the powers of two up to hi.
func powers(lo, hi int) []int {
	all := []int{lo}
	for v := 1; v <= hi; v *= 2 {
		if v > lo {
			all = append(all, v)
		}
	}
	return all
}

func (m *shapeMap) area(c *svg.Canvas, i int, x, bottom float64) {
	p := m.plan.Profiles[i]
	rim := mapRim - 2 - 1.5*float64(i%3) // neighbours stay apart
	l, r := x+m.across(p.Past.Min)-rim, x+m.across(p.Past.Max)+rim
	b, t := bottom-m.up(p.Seq.Min)+rim, bottom-m.up(p.Seq.Max)-rim
	tip := fmt.Sprintf("profile %d %s: past %s, new tokens %s", i, p.Name, span{p.Past.Min, p.Past.Max}, span{p.Seq.Min, p.Seq.Max})
	c.Group(fmt.Sprintf("area p%d", i%4), tip, func() {
		c.Rect("outline", l, t, r-l, b-t, 4)
		c.Circle("opt", x+m.across(p.Past.Opt), bottom-m.up(p.Seq.Opt), 6)
	})
	if r-l >= b-t { // the number stands above what is wide and beside what is tall
		c.Text(fmt.Sprintf("arealabel p%d", i%4), r-2, t-4, svg.End, fmt.Sprint(i))
	} else {
		c.Text(fmt.Sprintf("arealabel p%d", i%4), r+4, t+11, svg.Start, fmt.Sprint(i))
	}
}

func (m *shapeMap) dot(c *svg.Canvas, d dot, batch span, x, bottom float64) {
	// The middle of what was joined, on the scale that it is seen on.
	at := x + (m.across(d.past.from)+m.across(d.past.to))/2
	up := bottom - (m.up(d.seq.from)+m.up(d.seq.to))/2
	class, tip := fmt.Sprintf("shape p%d", d.profile%4), fmt.Sprintf("batch %s, past %s, new tokens %s: ", batch, d.past, d.seq)
	tip += plural(d.shapes, "shape")
	if d.profile < 0 {
		class, tip = "shape uncovered", tip+", held by no profile"
	} else {
		tip += fmt.Sprintf(", profile %d", d.profile)
	}
	c.Group(class, tip, func() {
		if d.profile < 0 {
			c.Line("cross", at-3, up-3, at+3, up+3)
			c.Line("cross", at-3, up+3, at+3, up-3)
			return
		}
		c.Circle("", at, up, 1.6+2.6*math.Sqrt(d.count/max(m.mostPerShape, 1e-300)))
	})
}

// describe says in words what the map shows.
func (m *shapeMap) describe() string {
	if len(m.plan.Demand) == 0 {
		return fmt.Sprintf("What %s hold.", plural(len(m.plan.Profiles), "profile"))
	}
	total, covered := tallyShapes(m.plan)
	return fmt.Sprintf("%d of %d distinct shapes of the workload lie inside one of %d profiles.", covered, total, len(m.plan.Profiles))
}
