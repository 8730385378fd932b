package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/calib"
)

// calibrated is the part of the page about how ranges came about.
type calibrated struct {
	About    string
	Ranges   *picture
	Curves   *picture
	Channels *picture
}

// mostRanges is how many tensors the picture of ranges shows.
const mostRanges = 40

// calibrated is nil where nothing was calibrated.
func (d *Data) calibrated() *calibrated {
	k := d.Calibration
	if k == nil || k.Table == nil || len(k.Table.Ranges) == 0 {
		return nil
	}
	c := Calibration{Table: k.Table, Outliers: slices.SortedStableFunc(slices.Values(k.Outliers), func(a, b calib.Outlier) int { return cmp.Compare(topRatio(b), topRatio(a)) })}
	if k.Curve != nil {
		c.Observations = &calib.Observations{Curve: k.Curve}
		if k.Near > 0 {
			c.Observations.Until = &calib.Until{Percent: k.Near}
		}
	}
	headline, lead := c.verdict()
	about := []string{fmt.Sprintf("%s. Method %s, %s, %s tokens.", headline, k.Table.Method, plural(k.Table.Samples, "sample"), count(k.Table.Tokens))}
	return &calibrated{About: strings.Join(append(about, lead...), " "), Ranges: d.ranges(k.Table), Curves: c.curves(), Channels: c.channels()}
}

// ranges draws the amax of each tensor, in the order of their names.
func (d *Data) ranges(t *calib.Table) *picture {
	plot := dots{id: "ranges", title: "Calibrated ranges", desc: "The magnitude of each tensor that becomes 127 in INT8.",
		panels: []panel{{title: "Magnitude that becomes 127", log: true, fine: true, format: func(v float64) string { return trim(v) }}}}
	names := slices.SortedFunc(maps.Keys(t.Ranges), func(a, b string) int { return natural(a, b) })
	g := dotGroup{}
	for _, name := range names[:min(len(names), mostRanges)] {
		r := t.Ranges[name]
		v := float64(r.Amax)
		g.lines = append(g.lines, dotLine{label: middle(tensorLabel(name), 34), class: "int8", marks: []mark{{value: v, lo: v, hi: v, text: significant(v),
			tip: fmt.Sprintf("%s: %s to %s", name, significant(float64(r.Lo)), significant(float64(r.Hi)))}}})
	}
	plot.groups = append(plot.groups, g)
	caption := "Each dot is a tensor; a step of its INT8 values is a 127th of this."
	if more := len(names) - mostRanges; more > 0 {
		caption += fmt.Sprintf(" Not shown: %s.", plural(more, "more tensor"))
	}
	return plot.picture(caption)
}

// tensorLabel is a tensor's name without what every tensor of a graph has.
func tensorLabel(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "/"), "_output_0")
}

// middle is a name cut in its middle to n letters.
func middle(name string, n int) string {
	r := []rune(name)
	if len(r) <= n {
		return name
	}
	half := (n - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-(n-1-half):])
}

// natural orders names with numbers in them as people count.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			if c := cmp.Or(cmp.Compare(x, y), strings.Compare(a[:x], b[:y])); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits a text begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// quantized is the part of the page about one engine's matrix products.
type quantized struct {
	Engine, About         string
	Kept                  []keptLine
	Sensitivity, Frontier *picture
}

// keptLine is a reason, and the products that it is about.
type keptLine struct {
	Reason string
	N      int
	What   string
}

// quantized are the engines of which a decision list is there. Pictures of the
// second and later ones would have the ids of the first, so those are drawn once.
func (d *Data) quantized() []quantized {
	var all []quantized
	for i, k := range d.Quantized {
		if k.Decisions == nil || len(k.Decisions.Decisions) == 0 {
			continue
		}
		q := Quantization{Decisions: k.Decisions, Search: k.Search}
		one := quantized{Engine: k.Engine, Kept: kept(k)}
		n := 0
		for _, c := range k.Decisions.Decisions {
			if c.Quantized {
				n++
			}
		}
		one.About = fmt.Sprintf("%d of %s INT8.", n, plural(len(k.Decisions.Decisions), "matrix product"))
		if i == 0 {
			one.Sensitivity, one.Frontier = q.sensitivity(), q.frontier()
		}
		all = append(all, one)
	}
	return all
}

// kept are the products that stayed float, by reason.
func kept(k Quantized) []keptLine {
	var all []keptLine
	for _, c := range k.Decisions.Decisions {
		if c.Quantized {
			continue
		}
		at := slices.IndexFunc(all, func(l keptLine) bool { return l.Reason == c.Reason })
		if at < 0 {
			all = append(all, keptLine{Reason: c.Reason})
			at = len(all) - 1
		}
		l := &all[at]
		l.N++
		switch {
		case l.N <= 3:
			l.What = strings.TrimPrefix(l.What+", "+c.Node, ", ")
		case l.N == 4:
			l.What += ", …"
		}
	}
	return all
}
