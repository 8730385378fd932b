package report

import (
	"html/template"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/svg"
)

// sizes draws a bar an engine of known size. Nil where there is none.
func (d *Data) sizes() *picture {
	engines := slices.DeleteFunc(slices.Clone(d.Engines), func(e Engine) bool { return e.Manifest.Bytes == 0 })
	if len(engines) == 0 {
		return nil
	}
	return &picture{Wide: template.HTML(drawSizes(engines, "sizes-w", wide)), Narrow: []template.HTML{template.HTML(drawSizes(engines, "sizes-n", narrow))}}
}

// drawSizes draws the bars, engines of one backend together.
func drawSizes(engines []Engine, id string, width float64) string {
	left, largest := 0.0, 0.0
	for _, e := range engines {
		left = max(left, svg.TextWidth(e.Name, 12.5)+14)
		largest = max(largest, float64(e.Manifest.Bytes))
	}
	const bar = 22.0
	height := bar*float64(len(engines)) + 4
	gaps := 0
	for i := 1; i < len(engines); i++ {
		if engines[i].Manifest.Backend != engines[i-1].Manifest.Backend {
			gaps++
		}
	}
	var words []string
	for _, e := range engines {
		words = append(words, e.Name+" "+size(float64(e.Manifest.Bytes)))
	}
	c := svg.New(id, width, height+10*float64(gaps), "Engine sizes", strings.Join(words, ", ")+".")
	s := svg.Scale{From: 0, To: largest, A: left, B: width - 70}
	y := 0.0
	for i, e := range engines {
		if i > 0 && e.Manifest.Backend != engines[i-1].Manifest.Backend {
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
