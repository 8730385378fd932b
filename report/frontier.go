package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/internal/svg"
	"github.com/trtforge/trtforge/quant/search"
)

// The frontier has the bytes of weights that a decode step reads across, and
// what each measured choice costs upwards: KL divergence in one panel,
// perplexity in the other.

// frontierPlot is one panel.
type frontierPlot struct {
	q      Quantization
	id     string
	title  string
	limit  float64                             // 0 = none
	log    bool                                // scale
	of     func(search.Measurement) [3]float64 // value, lo, hi
	format func(v float64) string              // of ticks
	points []search.Point
	front  []search.Point
	lo, hi float64
}

const (
	frontPlot = 250.0
	frontHead = 26.0
	frontFoot = 42.0
	frontLeft = 62.0
	frontGap  = 26.0
)

// frontier draws what was measured. Nil where nothing was searched.
func (q Quantization) frontier() *picture {
	if q.Search == nil || q.Search.Chosen.Chosen == nil {
		return nil
	}
	p := &picture{Caption: "Each dot is a choice of products that was measured. The line joins those that no other beats, the filled dot is what was chosen, with its 95 % interval, " +
		"the square what greedy by sensitivity takes. A choice is within the gate where the upper end of its interval is below the limit."}
	panels := []frontierPlot{q.klPanel(), q.pplPanel()}
	c := svg.New("frontier-w", wide, frontHead+frontPlot+frontFoot, "Cost against bytes", panels[0].describe())
	half := (wide - 2*frontLeft - frontGap) / 2
	panels[0].draw(c, frontLeft, frontHead, half)
	panels[1].draw(c, 2*frontLeft+half+frontGap, frontHead, half)
	p.Wide = template.HTML(c.String())
	for _, panel := range panels {
		c := svg.New("frontier-n-"+panel.id, narrow, frontHead+frontPlot+frontFoot, "Cost against bytes: "+panel.title, panel.describe())
		panel.draw(c, frontLeft, frontHead, narrow-frontLeft-4)
		p.Narrow = append(p.Narrow, template.HTML(c.String()))
	}
	return p
}

// drawable tells whether a point has a place on a logarithmic scale.
func drawable(p search.Point) bool {
	return p.Measured.KL.Value > 0 && !math.IsInf(p.Measured.KL.Value, 0)
}

func (q Quantization) klPanel() frontierPlot {
	f := frontierPlot{q: q, id: "kl", title: "KL divergence, nats a token", limit: q.Search.Gate.KLMax, log: true,
		of:     func(m search.Measurement) [3]float64 { return [3]float64{m.KL.Value, m.KL.Lo, m.KL.Hi} },
		format: func(v float64) string { return "10" + superscript(int(math.Round(math.Log10(v)))) }}
	f.points = slices.DeleteFunc(slices.Clone(q.Search.Points), func(p search.Point) bool { return !drawable(p) })
	f.front = slices.DeleteFunc(search.Frontier(q.Search.Points), func(p search.Point) bool { return !drawable(p) })
	lo, hi := math.Inf(1), 0.0
	for _, p := range f.points {
		lo, hi = min(lo, p.Measured.KL.Value), max(hi, p.Measured.KL.Value)
	}
	if f.limit > 0 {
		lo, hi = min(lo, f.limit), max(hi, f.limit)
	}
	ticks := svg.Decades(lo, hi)
	f.lo, f.hi = ticks[0], ticks[len(ticks)-1]
	return f
}

func (q Quantization) pplPanel() frontierPlot {
	f := frontierPlot{q: q, id: "ppl", title: "Perplexity against the float model", of: func(m search.Measurement) [3]float64 {
		return [3]float64{100 * (m.PPL.Value - 1), 100 * (m.PPL.Lo - 1), 100 * (m.PPL.Hi - 1)}
	}}
	if limit := q.Search.Gate.PPLRatioMax; limit > 0 {
		f.limit = 100 * (limit - 1)
	}
	f.points = slices.DeleteFunc(slices.Clone(q.Search.Points), func(p search.Point) bool { return math.IsInf(p.Measured.PPL.Value, 0) })
	f.lo, f.hi = min(0, f.limit), max(0, f.limit)
	for _, p := range f.points {
		v := f.of(p.Measured)
		f.lo, f.hi = min(f.lo, v[0]), max(f.hi, v[0])
	}
	v := f.of(q.Search.Chosen.Measured)
	f.lo, f.hi = min(f.lo, v[1]), max(f.hi, v[2])
	ticks := svg.Ticks(f.lo, f.hi, 5)
	f.lo, f.hi = ticks[0], ticks[len(ticks)-1]
	digits := 0
	for step := 1.0; len(ticks) > 1 && ticks[1]-ticks[0] < step*0.999 && digits < 6; step /= 10 {
		digits++
	}
	f.format = func(v float64) string {
		if v == 0 {
			return "±0 %"
		}
		return minus(fmt.Sprintf("%+.*f %%", digits, v))
	}
	return f
}

// ticks are the marks of the vertical scale.
func (f frontierPlot) ticks() []float64 {
	if f.log {
		return svg.Decades(f.lo, f.hi)
	}
	return svg.Ticks(f.lo, f.hi, 5)
}

// read is how many bytes of weights a step reads with a choice.
func (f frontierPlot) read(p search.Point) float64 {
	return float64(f.q.ReadAfter + f.q.Search.Chosen.Saved - p.Saved)
}

func (f frontierPlot) draw(c *svg.Canvas, x, y, width float64) {
	bottom := y + frontPlot
	least, most := math.Inf(1), 0.0
	for _, p := range f.q.Search.Points {
		least, most = min(least, f.read(p)), max(most, f.read(p))
	}
	unit, name := 1e6, "MB"
	if most >= 2e9 {
		unit, name = 1e9, "GB"
	}
	across := svg.Scale{From: least, To: most, A: x + 12, B: x + width - 12}
	up := svg.Scale{From: f.lo, To: f.hi, A: bottom - 6, B: y + 6, Log: f.log}
	c.Text("panel", x, y-9, svg.Start, f.title)
	c.Rect("plotframe", x, y, width, frontPlot, 3)
	for _, v := range f.ticks() {
		c.Line("grid", x, up.At(v), x+width, up.At(v))
		c.Text("tick", x-8, up.At(v)+4, svg.End, f.format(v))
	}
	for _, v := range svg.Ticks(least/unit, most/unit, 5) {
		if at := v * unit; at >= least && at <= most {
			c.Line("tickmark", across.At(at), bottom, across.At(at), bottom+4)
			c.Text("tick", across.At(at), bottom+17, svg.Middle, strconv.FormatFloat(v, 'g', 4, 64))
		}
	}
	c.Text("tick", x+width, bottom+34, svg.End, name+" of weights that a decode step reads")
	if f.limit > 0 {
		c.Line("gate", x, up.At(f.limit), x+width, up.At(f.limit))
		c.Text("gatelabel", x+width-4, up.At(f.limit)-5, svg.End, "gate")
	}
	f.marks(c, across, up)
}

// marks draws the points, what matters last.
func (f frontierPlot) marks(c *svg.Canvas, across, up svg.Scale) {
	place := func(p search.Point) (float64, float64) { return across.At(f.read(p)), up.At(f.of(p.Measured)[0]) }
	for _, p := range f.points {
		x, y := place(p)
		c.Group("tried", f.tip(p), func() { c.Circle("", x, y, 2) })
	}
	for i := 1; i < len(f.front); i++ {
		ax, ay := place(f.front[i-1])
		bx, by := place(f.front[i])
		c.Line("front", ax, ay, bx, by)
	}
	greedy, chosen := f.q.Search.Greedy, f.q.Search.Chosen
	if greedy.Chosen.Count() > 0 {
		x, y := place(greedy)
		c.Group("mark other", "greedy by sensitivity: "+f.tip(greedy), func() { c.Rect("square", x-7, y-7, 14, 14, 2) })
	}
	if chosen.Chosen.Count() > 0 {
		x, y := place(chosen)
		v := f.of(chosen.Measured)
		c.Group("mark int8", "chosen: "+f.tip(chosen), func() {
			c.Line("interval", x, up.At(v[1]), x, up.At(v[2]))
			c.Circle("dot", x, y, 5)
		})
	}
}

func (f frontierPlot) tip(p search.Point) string {
	m := p.Measured
	return fmt.Sprintf("%s of %d, %s: KL %s, perplexity %s", plural(p.Chosen.Count(), "product"), len(p.Chosen), size(f.read(p)), scientific(m.KL.Value), percent(m.PPL.Value))
}

func (f frontierPlot) describe() string {
	s := f.q.Search
	most := slices.MaxFunc(s.Points, func(a, b search.Point) int { return cmp.Compare(a.Saved, b.Saved) })
	return fmt.Sprintf("%s measured. The choice of %s reads %s a step, all %d read %s.",
		upperFirst(plural(len(s.Points), "choice")), plural(s.Chosen.Chosen.Count(), "product"), size(f.read(s.Chosen)), most.Chosen.Count(), size(f.read(most)))
}
