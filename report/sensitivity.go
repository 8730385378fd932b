package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/svg"
	"github.com/trtforge/trtforge/quant"
)

// The picture of sensitivities has a panel for each role, with layers across and
// the KL divergence of each product alone upwards, on one scale for all.

// sensitive is a product as its panel shows it.
type sensitive struct {
	quant.Choice
	at int // layer, or place among the role's products outside of layers
}

// sensitivityPlot lays panels out.
type sensitivityPlot struct {
	roles   []quant.Role
	of      map[quant.Role][]sensitive
	layers  int
	lo, hi  float64 // of the scale, powers of ten
	width   float64
	columns int
}

// The measures of the picture in pixels.
const (
	rolePlot = 170.0
	roleHead = 26.0
	roleFoot = 40.0
	roleLeft = 50.0
	roleGap  = 26.0
	roleRim  = 12.0
)

// sensitivity draws what each product costs alone. Nil where nothing was measured.
func (q Quantization) sensitivity() *picture {
	s := newSensitivity(q.Decisions.Decisions)
	if len(s.roles) == 0 {
		return nil
	}
	p := &picture{Caption: "A dot for each matrix product, filled where it became INT8: the mean KL divergence from the float model that quantizing it alone costs, " +
		"in nats a token, with its 95 % interval. The scale is logarithmic and the same in all panels."}
	draw := func(id string, width float64, columns int) template.HTML {
		s.width, s.columns = width, min(columns, len(s.roles))
		return template.HTML(s.draw(id))
	}
	p.Wide = draw("sensitivity-w", wide, 4)
	p.Narrow = []template.HTML{draw("sensitivity-n", narrow, 1)}
	return p
}

func newSensitivity(all []quant.Choice) sensitivityPlot {
	s := sensitivityPlot{of: map[quant.Role][]sensitive{}, lo: math.Inf(1), hi: math.Inf(-1)}
	outside := map[quant.Role]int{}
	for _, c := range all {
		if c.Sensitivity == nil {
			continue
		}
		at := c.Layer
		if at < 0 {
			at = outside[c.Role]
			outside[c.Role]++
		}
		if s.of[c.Role] == nil {
			s.roles = append(s.roles, c.Role)
		}
		s.of[c.Role] = append(s.of[c.Role], sensitive{c, at})
		s.layers = max(s.layers, at+1)
		if v := float64(c.Sensitivity.KL); v > 0 && !math.IsInf(v, 0) {
			s.lo, s.hi = min(s.lo, v), max(s.hi, v)
		}
	}
	slices.SortStableFunc(s.roles, func(a, b quant.Role) int { return slices.Index(quant.Roles, a) - slices.Index(quant.Roles, b) })
	ticks := svg.Decades(s.lo, s.hi)
	s.lo, s.hi = ticks[0], ticks[len(ticks)-1]
	return s
}

func (s sensitivityPlot) draw(id string) string {
	rows := (len(s.roles) + s.columns - 1) / s.columns
	tall := roleHead + rolePlot + roleFoot
	c := svg.New(id, s.width, tall*float64(rows)-10, "What each matrix product costs alone", s.describe())
	plot := (s.width - roleLeft - roleGap*float64(s.columns-1)) / float64(s.columns)
	for i, role := range s.roles {
		x := roleLeft + float64(i%s.columns)*(plot+roleGap)
		s.panel(c, role, x, tall*float64(i/s.columns)+roleHead, plot, i%s.columns == 0)
	}
	return c.String()
}

// panel draws one role with its plot's upper left corner at x, y.
func (s sensitivityPlot) panel(c *svg.Canvas, role quant.Role, x, y, width float64, first bool) {
	bottom := y + rolePlot
	up := svg.Scale{From: s.lo, To: s.hi, A: bottom - roleRim, B: y + roleRim, Log: true}
	across := svg.Scale{From: 0, To: float64(max(s.layers-1, 1)), A: x + roleRim, B: x + width - roleRim}
	c.Text("panel", x, y-9, svg.Start, string(role))
	c.Rect("plotframe", x, y, width, rolePlot, 3)
	for _, v := range svg.Decades(s.lo, s.hi) {
		c.Line("grid", x, up.At(v), x+width, up.At(v))
		if first {
			c.Text("tick", x-8, up.At(v)+4, svg.End, "10"+superscript(int(math.Round(math.Log10(v)))))
		}
	}
	products := s.of[role]
	inside := slices.ContainsFunc(products, func(p sensitive) bool { return p.Layer >= 0 })
	if inside {
		s.layerTicks(c, across, bottom)
		c.Text("tick", x+width, bottom+32, svg.End, "layer")
	}
	for _, p := range products {
		at := across.At(float64(p.at))
		if !inside {
			at = x + width*float64(p.at+1)/float64(len(products)+1)
		}
		s.dot(c, p, at, up)
	}
}

// layerTicks numbers the layers, as many as there is room for.
func (s sensitivityPlot) layerTicks(c *svg.Canvas, across svg.Scale, bottom float64) {
	step := 1
	for float64(step)*(across.At(1)-across.At(0)) < 20 && step < s.layers {
		step *= 2
	}
	for layer := 0; layer < s.layers; layer += step {
		c.Line("tickmark", across.At(float64(layer)), bottom, across.At(float64(layer)), bottom+4)
		c.Text("tick", across.At(float64(layer)), bottom+17, svg.Middle, fmt.Sprint(layer))
	}
}

func (s sensitivityPlot) dot(c *svg.Canvas, p sensitive, at float64, up svg.Scale) {
	v := p.Sensitivity
	class, what := "hollow", "stays float"
	if p.Quantized {
		class, what = "dot", "INT8"
	}
	tip := fmt.Sprintf("%s, %s: KL %s (%s to %s), perplexity %s", p.Node, what, scientific(float64(v.KL)), scientific(float64(v.KLLo)), scientific(float64(v.KLHi)), percent(float64(v.PPLRatio)))
	if v.Weight != 0 {
		tip += fmt.Sprintf("; activation alone %s, weight alone %s", scientific(float64(v.Activation)), scientific(float64(v.Weight)))
	}
	c.Group("mark int8", tip, func() {
		c.Line("interval", at, up.At(float64(v.KLLo)), at, up.At(float64(v.KLHi)))
		c.Circle(class, at, up.At(float64(v.KL)), 4.5)
	})
}

// describe says in words what the picture shows.
func (s sensitivityPlot) describe() string {
	var worst quant.Choice
	n := 0
	for _, role := range s.roles {
		for _, p := range s.of[role] {
			if n++; worst.Sensitivity == nil || p.Sensitivity.KL > worst.Sensitivity.KL {
				worst = p.Choice
			}
		}
	}
	return fmt.Sprintf("%s; %s costs the most, %s nats a token.", upperFirst(plural(n, "product")), worst.Node, scientific(float64(worst.Sensitivity.KL)))
}
