package report

import (
	"html/template"
	"strings"

	"github.com/trtforge/trtforge/internal/svg"
)

// sizes draws a bar an engine. Nil where no engine has a size.
func (d *Data) sizes() *picture {
	largest := 0.0
	for _, e := range d.Engines {
		largest = max(largest, float64(e.Manifest.Bytes))
	}
	if largest == 0 {
		return nil
	}
	return &picture{Wide: template.HTML(d.drawSizes("sizes-w", wide, largest)), Narrow: []template.HTML{template.HTML(d.drawSizes("sizes-n", narrow, largest))}}
}

// drawSizes draws the bars, engines of one backend together.
func (d *Data) drawSizes(id string, width, largest float64) string {
	left := 0.0
	for _, e := range d.Engines {
		left = max(left, svg.TextWidth(e.Name, 12.5)+14)
	}
	const bar = 22.0
	height := bar*float64(len(d.Engines)) + 4
	gaps := 0
	for i := 1; i < len(d.Engines); i++ {
		if d.Engines[i].Manifest.Backend != d.Engines[i-1].Manifest.Backend {
			gaps++
		}
	}
	var words []string
	for _, e := range d.Engines {
		words = append(words, e.Name+" "+size(float64(e.Manifest.Bytes)))
	}
	c := svg.New(id, width, height+10*float64(gaps), "Engine sizes", strings.Join(words, ", ")+".")
	s := svg.Scale{From: 0, To: largest, A: left, B: width - 70}
	y := 0.0
	for i, e := range d.Engines {
		if i > 0 && e.Manifest.Backend != d.Engines[i-1].Manifest.Backend {
			y += 10
		}
		kind, bytes := class(string(e.Manifest.Precision)), float64(e.Manifest.Bytes)
		c.Text("name "+kind, 0, y+15, svg.Start, e.Name)
		c.Group("mark "+kind, "", func() { c.Rect("column", left, y+4, s.At(bytes)-left, bar-8, 2) })
		c.Text("value left", s.At(bytes)+8, y+15, svg.Start, size(bytes))
		y += bar
	}
	return c.String()
}
