package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/calib"
)

// Calibration is what a page about a calibration shows.
type Calibration struct {
	CreatedBy    string
	Title        string // the table
	Table        *calib.Table
	Observations *calib.Observations // its curve may be nil
	Outliers     []calib.Outlier     // every tensor, in any order
	Drift        *calib.Drift        // from a committed table; nil where none was checked
}

// shownTensors is how many tensors the picture of channels shows.
const shownTensors = 12

type calibrationPage struct {
	Calibration
	Style    template.CSS
	Headline string
	Lead     []string
	Facts    []fact
	Curves   *picture
	Channels *picture
	Drifted  []driftLine
	Lines    []rangeLine
	Settled  bool // some curve says when a range settled
}

type fact struct{ Name, Value string }

type driftLine struct{ Tensor, Was, Is, By, Class string }

// rangeLine is a tensor of the table of ranges.
type rangeLine struct{ Tensor, Lo, Hi, Amax, Clipped, Deviation, Kurtosis, Settled, Channels string }

// CalibrationHTML writes one self-contained page: whether the ranges have settled
// and hold to the committed ones, how they grew, which channels dominate, and
// every range.
func CalibrationHTML(w io.Writer, c Calibration) error {
	t, err := template.ParseFS(assets, "calibration.html")
	if err != nil {
		return fmt.Errorf("reading the template of calibrations: %w", err)
	}
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("reading the report's style: %w", err)
	}
	c.Outliers = slices.SortedStableFunc(slices.Values(c.Outliers), func(a, b calib.Outlier) int {
		return cmp.Or(cmp.Compare(topRatio(b), topRatio(a)), strings.Compare(a.Tensor, b.Tensor))
	})
	page := calibrationPage{Calibration: c, Style: template.CSS(style), Facts: c.facts(), Curves: c.curves(), Channels: c.channels(),
		Drifted: c.drifted(), Lines: c.lines(), Settled: c.curve() != nil}
	page.Headline, page.Lead = c.verdict()
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("writing the page of a calibration: %w", err)
	}
	return nil
}

// curve is the curve, where it has points.
func (c Calibration) curve() *calib.Curve {
	if o := c.Observations; o != nil && o.Curve != nil && len(o.Curve.Samples) > 0 {
		return o.Curve
	}
	return nil
}

// percent is how near counts as settled.
func (c Calibration) percent() float64 {
	if c.Observations == nil {
		return 0
	}
	return c.Observations.Near()
}

// moving are the tensors whose range still moved in the second half of the
// samples.
func (c Calibration) moving() []string {
	if c.Observations == nil {
		return nil
	}
	return c.Observations.Moving()
}

// verdict is the page's first line and what to add to it.
func (c Calibration) verdict() (headline string, lead []string) {
	n, moving := len(c.Table.Ranges), len(c.moving())
	switch {
	case c.curve() == nil:
		headline = fmt.Sprintf("%d ranges were measured", n)
	case moving == 0:
		headline = fmt.Sprintf("All %d ranges have settled", n)
	default:
		headline = fmt.Sprintf("%d of %d ranges were still moving", moving, n)
		lead = append(lead, fmt.Sprintf("In the second half of the samples they changed by more than %g %%: more samples would change them again.", c.percent()))
	}
	if o := c.Observations; o != nil && o.Stopped != nil {
		lead = append(lead, upperFirst(o.Stopped.String())+".")
	}
	if d := c.Drift; d != nil {
		if d.Err() != nil {
			headline = "The table drifted from the committed one"
		}
		lead = append(driftLead(d), lead...)
	}
	if len(c.Outliers) > 0 && topRatio(c.Outliers[0]) >= outlierRatio {
		x := c.Outliers[0]
		lead = append(lead, fmt.Sprintf("Channel %d of %s is %s times as large as the median one: per-tensor INT8 leaves the others few steps, which SmoothQuant mends.",
			x.Dominant[0].Channel, x.Tensor, significant(x.Dominant[0].Ratio)))
	}
	return headline, lead
}

// driftLead is what differs from the committed table, in a few sentences.
func driftLead(d *calib.Drift) []string {
	moved := 0
	for _, t := range d.Tensors {
		if t.Exceeds {
			moved++
		}
	}
	first := fmt.Sprintf("%d of %d ranges moved by more than %g %% from the committed table", moved, len(d.Tensors), d.Limit)
	if gone := len(d.Missing); gone > 0 {
		first += fmt.Sprintf(", %d are gone", gone)
	}
	if n := len(d.New); n > 0 {
		first += fmt.Sprintf(", %d are new", n)
	}
	lead := []string{first + "."}
	for _, o := range d.Other {
		lead = append(lead, upperFirst(o)+".")
	}
	return lead
}

// outlierRatio is from where a channel is worth a sentence: the median one then
// has three bits less than the largest.
const outlierRatio = 8

func topRatio(x calib.Outlier) float64 {
	if len(x.Dominant) == 0 {
		return 0
	}
	return x.Dominant[0].Ratio
}

func (c Calibration) facts() []fact {
	t := c.Table
	all := []fact{{"Method", t.Method}, {"Samples", fmt.Sprint(t.Samples)}, {"Tokens", fmt.Sprint(t.Tokens)}, {"Tensors", fmt.Sprint(len(t.Ranges))}}
	if t.Model != "" {
		all = append(all, fact{"Model", fmt.Sprintf("%.12s", t.Model)})
	}
	if t.Text == calib.RandomText {
		all = append(all, fact{"Text", "random token ids, not text"})
	} else if t.Text != "" {
		all = append(all, fact{"Text", fmt.Sprintf("%.12s", t.Text)})
	}
	return all
}

func (c Calibration) drifted() (all []driftLine) {
	if c.Drift == nil {
		return nil
	}
	for _, t := range c.Drift.Tensors {
		if t.Exceeds {
			all = append(all, driftLine{t.Tensor, significant(float64(t.Was)), significant(float64(t.Is)), percent(1 + t.Percent/100), "fail"})
		}
	}
	for _, name := range c.Drift.Missing {
		all = append(all, driftLine{Tensor: name, By: "gone", Class: "fail"})
	}
	for _, name := range c.Drift.New {
		all = append(all, driftLine{Tensor: name, By: "new", Class: "fail"})
	}
	return all
}

// lines are all tensors, those whose channels differ most first.
func (c Calibration) lines() (all []rangeLine) {
	settled := map[string]int{}
	if curve := c.curve(); curve != nil {
		settled = curve.Settled(c.percent())
	}
	for _, x := range c.Outliers {
		l := rangeLine{Tensor: x.Tensor, Lo: significant(float64(x.Lo)), Hi: significant(float64(x.Hi)), Amax: significant(float64(x.Amax)),
			Clipped: share(x.Clipped), Deviation: significant(x.Deviation), Kurtosis: significant(x.Kurtosis)}
		if n, known := settled[x.Tensor]; known {
			l.Settled = fmt.Sprint(n)
		}
		var parts []string
		for _, d := range x.Dominant[:min(2, len(x.Dominant))] {
			parts = append(parts, fmt.Sprintf("%d (%s×)", d.Channel, significant(d.Ratio)))
		}
		l.Channels = strings.Join(parts, ", ")
		all = append(all, l)
	}
	return all
}

// share is a part of all values in percent; 0 is exactly none.
func share(v float64) string {
	if v == 0 {
		return "0"
	}
	return significant(math.Max(100*v, 1e-9)) + " %"
}
