package report

import (
	"math"

	"github.com/trtforge/trtforge/internal/svg"
)

// A dot plot has lines in groups and one or two panels beside them: a dot for
// the value, a bar for its interval, faint dots for raw samples, a stop for a
// limit, and the value in words at the right.

// dots is the content of a dot plot.
type dots struct {
	id, title, desc string
	panels          []panel
	groups          []dotGroup
}

// panel is one scale of a dot plot.
type panel struct {
	title  string
	log    bool
	fine   bool                   // a logarithmic scale has marks between decades
	format func(v float64) string // of ticks
}

// dotGroup is lines that belong together.
type dotGroup struct {
	name, detail string
	lines        []dotLine
}

// dotLine is one engine's values, a mark for each panel.
type dotLine struct {
	label string
	class string // colours the marks
	marks []mark
}

// mark is what one panel shows on one line.
type mark struct {
	missing           bool    // nothing was measured; text says so
	value, lo, hi     float64 // lo and hi infinite where there is no interval
	limit             float64 // 0 = none
	text              string
	samples           []float64
	tip               string
	failed, unbounded bool
}

// The measures of a dot plot in pixels.
const (
	lineHeight  = 19.0
	groupGap    = 13.0
	labelColumn = 44.0
	axisHeight  = 24.0
	headHeight  = 26.0
	panelGap    = 34.0
)

// columns is where things stand across.
type columns struct {
	group, label, text float64 // widths; text is the value column of a panel
	plot, width        float64
	stacked            bool // group names stand on lines of their own
}

// draw makes the picture of the given width. Narrow pictures put a group's name
// above its lines.
func (d dots) draw(width float64) string {
	c := d.columns(width)
	height := headHeight
	for i, g := range d.groups {
		if i > 0 {
			height += groupGap
		}
		if c.stacked {
			height += lineHeight
		}
		height += lineHeight * float64(max(len(g.lines), 1))
	}
	bottom := height + 4
	canvas := svg.New(d.id, width, bottom+axisHeight, d.title, d.desc)
	scales := make([]svg.Scale, len(d.panels))
	for i, p := range d.panels {
		x := c.group + c.label + float64(i)*(c.plot+c.text+panelGap)
		scales[i] = d.scale(i, x, x+c.plot)
		title := x
		if c.stacked {
			title = x - c.label
		}
		d.axis(canvas, p, scales[i], title, bottom)
	}
	y := headHeight
	for i, g := range d.groups {
		if i > 0 {
			canvas.Line("hair", 0, y+groupGap/2, width, y+groupGap/2)
			y += groupGap
		}
		y = c.drawGroup(canvas, g, scales, y)
	}
	return canvas.String()
}

// columns divides the width. A plot so narrow that it says nothing drops the
// group's column.
func (d dots) columns(width float64) columns {
	c := columns{label: labelColumn, width: width}
	longest, text := 0.0, 0.0
	for _, g := range d.groups {
		longest = max(longest, 1.15*svg.TextWidth(g.name, 13), svg.TextWidth(g.detail, 12)) // names are bold
		for _, l := range g.lines {
			c.label = max(c.label, svg.TextWidth(l.label, 12.5)+14)
			for _, m := range l.marks {
				text = max(text, svg.TextWidth(m.text, 12.5)+12)
			}
		}
	}
	c.text, c.group = text, longest+18
	n := float64(len(d.panels))
	room := func() float64 { return (width - c.group - c.label - (n-1)*panelGap - n*c.text - 2) / n }
	if room() < 150 {
		c.stacked, c.group = true, 0
	}
	if short := leastPlot - room(); short > 0 { // labels give way, to a fifth of the width
		c.label = max(c.label-n*short, width/5)
	}
	c.plot = max(room(), leastPlot/2)
	return c
}

// leastPlot is the width below which a plot says nothing.
const leastPlot = 60.0

// fitting is a text cut in its middle to a width.
func fitting(text string, width, size float64) string {
	if svg.TextWidth(text, size) <= width {
		return text
	}
	return middle(text, max(int(width/(0.55*size)), 5))
}

// strayFactor is how far beyond the largest value and interval a linear scale
// reaches for single samples. One request that the machine interrupted would
// otherwise squeeze every other mark to the left; it stands at the edge instead.
const strayFactor = 1.5

// scale covers every value, interval and limit of a panel, and the samples that
// are not far from them.
func (d dots) scale(i int, a, b float64) svg.Scale {
	p := d.panels[i]
	lo, hi := math.Inf(1), math.Inf(-1)
	take := func(v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) && (!p.log || v > 0) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	for _, g := range d.groups {
		for _, l := range g.lines {
			m := l.marks[i]
			if m.missing {
				continue
			}
			take(m.value)
			take(m.hi)
			if p.log {
				take(m.lo)
			}
			if m.limit > 0 {
				take(m.limit)
			}
		}
	}
	near := strayFactor * hi
	for _, g := range d.groups {
		for _, l := range g.lines {
			for _, v := range l.marks[i].samples {
				if v <= near {
					take(v)
				}
			}
		}
	}
	if math.IsInf(lo, 0) {
		lo, hi = 1, 10
	}
	if p.log {
		t := p.ticks(lo, hi)
		return svg.Scale{From: t[0], To: t[len(t)-1], A: a, B: b, Log: true}
	}
	t := svg.Ticks(0, hi, 4)
	return svg.Scale{From: 0, To: max(hi*1.03, t[len(t)-2]), A: a, B: b}
}

// ticks are the marks of a logarithmic scale: decades, or finer where there are few.
func (p panel) ticks(lo, hi float64) []float64 {
	if p.fine && hi/lo < 1e4 {
		return halves(lo, hi)
	}
	return svg.Decades(lo, hi)
}

// axis draws the panel's title, grid and tick labels.
func (d dots) axis(c *svg.Canvas, p panel, s svg.Scale, title, bottom float64) {
	c.Text("panel", title, 13, svg.Start, p.title)
	ticks := svg.Ticks(s.From, s.To, int(max(2, (s.B-s.A)/60)))
	if p.log {
		ticks = p.ticks(s.From, s.To)
	}
	widest := 36.0
	for _, t := range ticks {
		widest = max(widest, svg.TextWidth(p.format(t), 12)*1.1)
	}
	skip := 1
	for (s.B-s.A)/float64(max(len(ticks)-1, 1))*float64(skip) < widest+10 {
		skip++
	}
	for i, t := range ticks {
		if t > s.To*1.0001 {
			continue
		}
		x := s.At(t)
		c.Line("grid", x, headHeight-4, x, bottom)
		if i%skip == 0 {
			c.Text("tick", x, bottom+15, svg.Middle, p.format(t))
		}
	}
}

// drawGroup draws a group from y and gives where it ends.
func (c columns) drawGroup(canvas *svg.Canvas, g dotGroup, scales []svg.Scale, y float64) float64 {
	if c.stacked {
		name := fitting(g.name, (c.width-svg.TextWidth(g.detail, 12)-12)/1.15, 13)
		canvas.Text("group", 0, y+13, svg.Start, name)
		canvas.Text("detail", 1.15*svg.TextWidth(name, 13)+12, y+13, svg.Start, g.detail)
		y += lineHeight
	} else {
		canvas.Text("group", 0, y+13, svg.Start, g.name)
		canvas.Text("detail", 0, y+13+16, svg.Start, g.detail)
	}
	for _, l := range g.lines {
		middle := y + lineHeight/2
		canvas.Text("name "+l.class, c.group, middle+4, svg.Start, fitting(l.label, c.label-10, 12.5))
		for i, s := range scales {
			c.drawMark(canvas, l, l.marks[i], s, middle)
		}
		y += lineHeight
	}
	return y
}

// drawMark draws one value with everything that belongs to it.
func (c columns) drawMark(canvas *svg.Canvas, l dotLine, m mark, s svg.Scale, y float64) {
	text := "value"
	if m.failed {
		text = "value fail"
	}
	if m.missing {
		canvas.Text("value none", s.B+c.text, y+4, svg.End, m.text)
		return
	}
	canvas.Group("mark "+l.class, m.tip, func() {
		canvas.Line("guide", s.A, y, s.B, y)
		for _, v := range m.samples {
			canvas.Circle("sample", s.At(v), y, 2)
		}
		if m.limit > 0 {
			x := s.At(m.limit)
			canvas.Line("limit", x, y-7, x, y+7)
		}
		if bounded(m.lo, m.hi) && m.lo != m.hi {
			canvas.Line("interval", s.At(m.lo), y, s.At(m.hi), y)
		}
		dot := "dot"
		if m.unbounded {
			dot = "dot hollow"
		}
		canvas.Circle(dot, s.At(m.value), y, 4.2)
	})
	canvas.Text(text, s.B+c.text, y+4, svg.End, m.text)
}
