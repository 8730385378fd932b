package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/trtforge/trtforge/internal/svg"
)

// A line plot has one or two panels beside each other, or below one another on a
// phone, and one key above them. Colour is precision, as everywhere in the report;
// engines of one colour differ in their dashes.

// lines is the content of a line plot.
type lines struct {
	id, title, desc string
	keys            []key
	hidden          bool // keys are drawn elsewhere
	panels          []linePanel
}

// key names a series.
type key struct {
	label, class string
	dash         int // 0 = solid
}

// linePanel is one pair of scales.
type linePanel struct {
	title, across string
	logX, logY    bool
	zero          bool // the vertical scale begins at 0
	formatX       func(float64) string
	formatY       func(float64) string
	at            []float64 // ticks across; nil = round values
	guide         float64   // a level to compare with; 0 = none
	band          *bandAt
	series        []series
}

// bandAt marks a place across with its interval.
type bandAt struct {
	at, lo, hi float64
	label      string
	class      string // of whose crossing it is
}

// series is one line. lo and hi are nil where no point has an interval.
type series struct {
	key          int
	x, y, lo, hi []float64
	bare         bool // no dots: there are many points, or the line is a fit
	loose        bool // no line: dots beside a fit
	tips         []string
}

// The measures of a line plot in pixels.
const (
	linePlot  = 216.0
	lineHead  = 26.0
	lineFoot  = 42.0
	lineLeft  = 54.0
	lineGap   = 30.0
	lineRight = 10.0
	dashes    = 4
)

// picture draws a line plot in both widths.
func (l lines) picture(caption string) *picture {
	p := &picture{Caption: caption, Wide: template.HTML(l.draw(l.id+"-w", wide, l.panels))}
	for i := range l.panels {
		one := l
		one.hidden = i > 0 // the first has it for all
		one.title += ": " + l.panels[i].title
		p.Narrow = append(p.Narrow, template.HTML(one.draw(fmt.Sprintf("%s-n%d", l.id, i), narrow, l.panels[i:i+1])))
	}
	return p
}

func (l lines) draw(id string, width float64, panels []linePanel) string {
	places, top := l.layKeys(width)
	c := svg.New(id, width, top+lineHead+linePlot+lineFoot, l.title, l.desc)
	for i, place := range places {
		k, x, y := l.keys[i], place[0], place[1]
		c.Group("line "+k.style(), "", func() {
			c.Line("stroke", x, y-4, x+22, y-4)
			c.Circle("dot", x+11, y-4, 3.4)
		})
		c.Text("value", x+29, y, svg.Start, k.label)
	}
	n := float64(max(len(panels), 1))
	each := (width - (n-1)*lineGap) / n
	for i, p := range panels {
		x := float64(i) * (each + lineGap)
		l.panel(c, p, x+lineLeft, top+lineHead, each-lineLeft-lineRight)
	}
	return c.String()
}

// layKeys places the names of series in rows, and says how high they stand.
func (l lines) layKeys(width float64) (places [][2]float64, height float64) {
	if l.hidden || len(l.keys) == 0 {
		return nil, 0
	}
	x, y := 0.0, 12.0
	for _, k := range l.keys {
		w := 29 + svg.TextWidth(k.label, 12.5)*1.08 + 22
		if x > 0 && x+w-22 > width {
			x, y = 0, y+lineHeight
		}
		places = append(places, [2]float64{x, y})
		x += w
	}
	return places, y + 14
}

func (k key) style() string { return fmt.Sprintf("%s d%d", k.class, k.dash%dashes) }

// scales cover every point, interval and guide of a panel.
func (p linePanel) scales(left, top, width float64) (x, y svg.Scale) {
	x = svg.Scale{From: math.Inf(1), To: math.Inf(-1), A: left, B: left + width, Log: p.logX}
	y = svg.Scale{From: math.Inf(1), To: math.Inf(-1), A: top + linePlot, B: top, Log: p.logY}
	take := func(s *svg.Scale, values ...float64) {
		for _, v := range values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) && (!s.Log || v > 0) {
				s.From, s.To = math.Min(s.From, v), math.Max(s.To, v)
			}
		}
	}
	for _, s := range p.series {
		take(&x, s.x...)
		take(&y, s.y...)
		take(&y, s.lo...)
		take(&y, s.hi...)
	}
	if p.guide != 0 {
		take(&y, p.guide)
	}
	if p.band != nil {
		take(&x, p.band.at)
	}
	if p.zero {
		take(&y, 0)
	}
	for _, s := range []*svg.Scale{&x, &y} {
		if math.IsInf(s.From, 0) {
			s.From, s.To = 1, 10
		}
	}
	if ticks := p.ticksY(y); p.logY {
		y.From, y.To = math.Min(y.From, ticks[0]), math.Max(y.To, ticks[len(ticks)-1])
	} else {
		y.From, y.To = ticks[0], ticks[len(ticks)-1]
	}
	if x.From == x.To {
		x.From, x.To = x.From*0.9, x.To*1.1+1e-9
	}
	rim := width * 0.03
	x.A, x.B = x.A+rim, x.B-rim
	return x, y
}

func (p linePanel) ticksY(y svg.Scale) []float64 {
	if !p.logY {
		return svg.Ticks(y.From, y.To, 5)
	}
	if y.To/y.From > 30 {
		return svg.Decades(y.From, y.To)
	}
	return halves(y.From, y.To)
}

// halves are 1, 2 and 5 times powers of ten from the one at or below lo to the
// one at or above hi.
func halves(lo, hi float64) []float64 {
	var all []float64
	for _, d := range svg.Decades(lo, hi) {
		for _, m := range []float64{1, 2, 5} {
			all = append(all, d*m)
		}
	}
	first, last := 0, len(all)-1
	for first+1 < len(all) && all[first+1] <= lo*1.0001 {
		first++
	}
	for last > first+1 && all[last-1] >= hi*0.9999 {
		last--
	}
	return all[first : last+1]
}

func (l lines) panel(c *svg.Canvas, p linePanel, left, top, width float64) {
	x, y := p.scales(left, top, width)
	bottom := top + linePlot
	c.Text("panel", left-lineLeft, top-12, svg.Start, p.title)
	last := math.Inf(1)
	for _, t := range p.ticksY(y) {
		at := y.At(t)
		c.Line("grid", left, at, left+width, at)
		if last-at > 13 {
			c.Text("tick", left-8, at+4, svg.End, p.formatY(t))
			last = at
		}
	}
	p.ticksAcross(c, x, width, bottom)
	c.Text("detail", left+width, bottom+36, svg.End, p.across)
	if b := p.band; b != nil {
		c.Group("line "+b.class, "", func() {
			if bounded(b.lo, b.hi) && b.hi > b.lo {
				c.Rect("bandarea", x.At(b.lo), top, x.At(b.hi)-x.At(b.lo), linePlot, 0)
			}
			c.Line("bandline", x.At(b.at), top, x.At(b.at), bottom)
		})
		anchor, dx := svg.Start, 6.0
		if x.At(b.at) > left+width*0.6 {
			anchor, dx = svg.End, -6
		}
		c.Text("bandlabel", x.At(b.at)+dx, top+13, anchor, b.label)
	}
	if p.guide != 0 {
		c.Line("guideline", left, y.At(p.guide), left+width, y.At(p.guide))
	}
	for _, s := range p.series {
		l.line(c, s, x, y)
	}
}

func (p linePanel) ticksAcross(c *svg.Canvas, x svg.Scale, width, bottom float64) {
	ticks := p.at
	if ticks == nil {
		ticks = svg.Ticks(x.From, x.To, int(max(2, width/90)))
		if p.logX {
			ticks = halves(x.From, x.To)
		}
	}
	right := math.Inf(-1)
	for _, t := range ticks {
		if t < x.From*0.9999 || t > x.To*1.0001 {
			continue
		}
		text := p.formatX(t)
		half := svg.TextWidth(text, 12) / 2
		c.Line("tickmark", x.At(t), bottom, x.At(t), bottom+4)
		if x.At(t)-half > right+8 {
			c.Text("tick", x.At(t), bottom+18, svg.Middle, text)
			right = x.At(t) + half
		}
	}
}

// line draws one series: intervals below, the line, dots above.
func (l lines) line(c *svg.Canvas, s series, x, y svg.Scale) {
	k := l.keys[s.key]
	style := "line " + k.style()
	// Intervals of one place stand beside each other.
	if n := float64(len(l.keys)); len(s.lo) > 0 && n > 1 {
		aside := (float64(s.key) - (n-1)/2) * math.Min(5, 24/n)
		x.A, x.B = x.A+aside, x.B+aside
	}
	var xs, ys []float64
	for i := range s.x {
		if !bounded(s.x[i], s.y[i]) || y.Log && s.y[i] <= 0 {
			continue
		}
		xs, ys = append(xs, x.At(s.x[i])), append(ys, y.At(s.y[i]))
	}
	c.Group(style, k.label, func() {
		if !s.loose && len(xs) > 1 {
			c.Polyline("stroke", xs, ys)
		}
	})
	if s.bare {
		return
	}
	for i := range s.x {
		if !bounded(s.x[i], s.y[i]) || y.Log && s.y[i] <= 0 {
			continue
		}
		tip := k.label
		if i < len(s.tips) {
			tip = s.tips[i]
		}
		c.Group(style, tip, func() {
			if i < len(s.lo) && bounded(s.lo[i], s.hi[i]) && s.lo[i] != s.hi[i] {
				c.Line("interval", x.At(s.x[i]), y.At(s.lo[i]), x.At(s.x[i]), y.At(s.hi[i]))
			}
			c.Circle("dot", x.At(s.x[i]), y.At(s.y[i]), 3.6)
		})
	}
}

// keysOf names engines and tells those of one colour apart by dashes.
func keysOf(engines []Engine, names map[string]string) []key {
	used := map[string]int{}
	var all []key
	for _, e := range engines {
		k := key{label: names[e.Name], class: class(string(e.Manifest.Precision))}
		k.dash = used[k.class]
		used[k.class]++
		all = append(all, k)
	}
	return all
}
