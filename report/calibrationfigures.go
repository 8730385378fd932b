package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/svg"
)

// The measures of the picture of curves in pixels.
const (
	curvePlot   = 220.0
	curveLeft   = 52.0
	curveFoot   = 44.0
	namedCurves = 4 // those that settled last have a colour and a name
)

// curves is how each range grew with the samples, in percent of what it came to.
func (c Calibration) curves() *picture {
	curve := c.curve()
	if curve == nil || len(curve.Samples) < 2 {
		return nil
	}
	settled := curve.Settled(c.percent())
	var names []string
	for name, amax := range curve.Amax {
		if len(amax) == len(curve.Samples) && amax[len(amax)-1] > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(settled[b], settled[a]), cmp.Compare(a, b)) })
	draw := func(id string, width float64) template.HTML {
		return template.HTML(curvePicture{id, width, curve, names, settled}.draw())
	}
	return &picture{Wide: draw("curves-w", wide), Narrow: []template.HTML{draw("curves-n", narrow)},
		Caption: fmt.Sprintf("Each line is the range of a tensor (%s) after so many samples, in percent of its last value. Named are those that took longest to stay within %g %%.", curve.Method, c.percent())}
}

type curvePicture struct {
	id      string
	width   float64
	curve   *calib.Curve
	names   []string // those that settled last first
	settled map[string]int
}

func (p curvePicture) draw() string {
	named := min(namedCurves, len(p.names))
	top := lineHeight*float64(named) + 14
	bottom := top + curvePlot
	c := svg.New(p.id, p.width, bottom+curveFoot, "How the ranges settled", fmt.Sprintf("The amax of %d tensors by number of samples.", len(p.names)))
	x := svg.Scale{From: 0, To: float64(p.curve.Samples[len(p.curve.Samples)-1]), A: curveLeft, B: p.width - 8}
	lo, hi := p.limits()
	y := svg.Scale{From: lo, To: hi, A: bottom, B: top}
	for _, t := range svg.Ticks(lo, hi, 5) {
		if t >= lo && t <= hi {
			c.Line("grid", curveLeft, y.At(t), x.B, y.At(t))
			c.Text("tick", curveLeft-8, y.At(t)+4, svg.End, round(t)+" %")
		}
	}
	for _, t := range svg.Ticks(0, x.To, int(p.width/110)) {
		if t <= x.To {
			c.Line("tickmark", x.At(t), bottom, x.At(t), bottom+4)
			c.Text("tick", x.At(t), bottom+18, svg.Middle, round(t))
		}
	}
	c.Text("detail", x.B, bottom+36, svg.End, "samples")
	for i := len(p.names) - 1; i >= 0; i-- { // the named ones above the others
		class := "curve"
		if i < named {
			class += fmt.Sprintf(" p%d", i)
		}
		p.line(c, class, p.names[i], x, y)
	}
	for i, name := range p.names[:named] {
		at := lineHeight*float64(i) + 12
		c.Line(fmt.Sprintf("curvekey p%d", i), 0, at-4, 18, at-4)
		c.Text("value", 26, at, svg.Start, p.label(name))
	}
	return c.String()
}

// round is a round value, as ticks are, without zeros at the end.
func round(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// label is a tensor's name and when it settled, cut to the width.
func (p curvePicture) label(name string) string {
	tail := fmt.Sprintf(" · after %d samples", p.settled[name])
	room := int((p.width-30)/(0.55*12.5)) - len(tail)
	if r := []rune(name); len(r) > room {
		name = string(r[:max(room-1, 1)]) + "…"
	}
	return name + tail
}

func (p curvePicture) line(c *svg.Canvas, class, name string, x, y svg.Scale) {
	amax := p.curve.Amax[name]
	last := float64(amax[len(amax)-1])
	xs, ys := make([]float64, len(amax)), make([]float64, len(amax))
	for i, a := range amax {
		xs[i], ys[i] = x.At(float64(p.curve.Samples[i])), y.At(100*float64(a)/last)
	}
	c.Group("", name, func() { c.Polyline(class, xs, ys) })
}

// limits are the least and greatest percentage, rounded outwards.
func (p curvePicture) limits() (lo, hi float64) {
	lo, hi = 99, 100
	for _, name := range p.names {
		amax := p.curve.Amax[name]
		last := float64(amax[len(amax)-1])
		for _, a := range amax {
			lo, hi = math.Min(lo, 100*float64(a)/last), math.Max(hi, 100*float64(a)/last)
		}
	}
	step := 1.0
	for _, s := range []float64{2, 5, 10, 20, 50} {
		if (hi-lo)/step > 6 {
			step = s
		}
	}
	return math.Floor(lo/step) * step, math.Ceil(hi/step) * step
}

// channels is by how much single channels exceed the median one, a line for each
// of the worst tensors.
func (c Calibration) channels() *picture {
	d := dots{id: "channels", title: "Channels against the median channel", desc: "The greatest magnitude of each channel of the tensors whose channels differ most, in multiples of the median channel's.",
		panels: []panel{{title: "Greatest magnitude of a channel / that of the median channel", log: true, format: func(v float64) string { return round(v) + "×" }}}}
	for _, x := range c.Outliers[:min(shownTensors, len(c.Outliers))] {
		ratios := channelRatios(c.Table.Ranges[x.Tensor].Channels)
		if len(ratios) == 0 || len(x.Dominant) == 0 {
			continue
		}
		top := x.Dominant[0]
		d.groups = append(d.groups, dotGroup{name: x.Tensor, lines: []dotLine{{class: "int8", marks: []mark{{
			value: top.Ratio, lo: math.Inf(-1), hi: math.Inf(1), samples: ratios, text: fmt.Sprintf("channel %d, %s×", top.Channel, significant(top.Ratio)),
			tip: fmt.Sprintf("%s: channel %d reaches %s", x.Tensor, top.Channel, significant(float64(top.Absmax))),
		}}}}})
	}
	if len(d.groups) == 0 {
		return nil
	}
	return d.picture("Faint dots are channels. A tensor has one scale for all of them: what lies at 1× has as many of the 127 steps as 127 divided by the largest.")
}

// ratioBins is how many dots a decade of channels becomes at most: more would lie
// on each other.
const ratioBins = 60

// leastRatio is where small channels are gathered.
const leastRatio = 0.1

// channelRatios is each channel's greatest magnitude over the median of those that
// are not always 0, channels that would be one dot once.
func channelRatios(c *calib.Channels) []float64 {
	if c == nil {
		return nil
	}
	var all []float64
	for i := range c.Lo {
		if v := float64(max(-c.Lo[i], c.Hi[i])); v > 0 {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	median := all[len(all)/2]
	var kept []float64
	seen := map[int]bool{}
	for _, v := range all {
		r := math.Max(v/median, leastRatio)
		if bin := int(math.Round(ratioBins * math.Log10(r))); !seen[bin] {
			seen[bin] = true
			kept = append(kept, r)
		}
	}
	return kept
}
