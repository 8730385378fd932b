// Package svg writes the few shapes that trtforge's pictures are made of.
//
// A [Canvas] collects elements and gives them as one inline `<svg>` with a title
// and a description for who cannot see it. Colours and fonts are classes, which
// the page's style sheet defines once for light and for dark:
//
//	c := svg.New("latency", 640, 200, "Latency", "Time to first token by scenario.")
//	c.Line("axis", 40, 180, 620, 180)
//	c.Text("label", 40, 195, svg.Middle, "0 ms")
//	html := c.String()
//
// [Scale] maps data to coordinates, [Ticks] and [Decades] choose round marks. It
// lays nothing out and knows nothing of what is drawn.
package svg

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Anchor says which point of a text its coordinates are.
type Anchor string

// The three anchors of a text.
const (
	Start  Anchor = "start"
	Middle Anchor = "middle"
	End    Anchor = "end"
)

// Canvas is a picture in the making, in CSS pixels at its natural size.
type Canvas struct {
	id            string
	width, height float64
	title, desc   string
	body          strings.Builder
}

// New is an empty canvas. id must be unique in its page; title says what the
// picture is, desc what it shows.
func New(id string, width, height float64, title, desc string) *Canvas {
	return &Canvas{id: id, width: width, height: height, title: title, desc: desc}
}

// Rect is a rectangle with corners of radius r.
func (c *Canvas) Rect(class string, x, y, w, h, r float64) {
	c.tag("rect", class, "x", x, "y", y, "width", math.Max(w, 0), "height", math.Max(h, 0), "rx", r)
}

// Line is a straight line.
func (c *Canvas) Line(class string, x1, y1, x2, y2 float64) {
	c.tag("line", class, "x1", x1, "y1", y1, "x2", x2, "y2", y2)
}

// Polyline joins points by straight lines; the slices are of one length.
func (c *Canvas) Polyline(class string, x, y []float64) {
	fmt.Fprintf(&c.body, `<polyline class="%s" points="`, html.EscapeString(class))
	for i := range x {
		if i > 0 {
			c.body.WriteByte(' ')
		}
		c.body.WriteString(number(x[i]) + "," + number(y[i]))
	}
	c.body.WriteString(`"/>`)
}

// Circle is a circle of radius r.
func (c *Canvas) Circle(class string, x, y, r float64) {
	c.tag("circle", class, "cx", x, "cy", y, "r", r)
}

// Text is one line of text whose baseline is at y.
func (c *Canvas) Text(class string, x, y float64, a Anchor, text string) {
	fmt.Fprintf(&c.body, `<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`,
		html.EscapeString(class), number(x), number(y), a, html.EscapeString(text))
}

// Group draws several shapes as one with a tooltip; an empty tip gives none.
func (c *Canvas) Group(class, tip string, draw func()) {
	fmt.Fprintf(&c.body, `<g class="%s">`, html.EscapeString(class))
	if tip != "" {
		fmt.Fprintf(&c.body, "<title>%s</title>", html.EscapeString(tip))
	}
	draw()
	c.body.WriteString("</g>\n")
}

// String is the picture as an element of an HTML page. It is as wide as its
// place allows, up to its natural size.
func (c *Canvas) String() string {
	w, h, id := number(c.width), number(c.height), html.EscapeString(c.id)
	return fmt.Sprintf(`<svg class="figure" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-labelledby="%s-t %s-d">`,
		w, h, w, h, id, id) +
		fmt.Sprintf("<title id=\"%s-t\">%s</title><desc id=\"%s-d\">%s</desc>\n", id, html.EscapeString(c.title), id, html.EscapeString(c.desc)) +
		c.body.String() + "</svg>"
}

// tag writes an empty element with pairs of attribute and number.
func (c *Canvas) tag(name, class string, pairs ...any) {
	fmt.Fprintf(&c.body, `<%s class="%s"`, name, html.EscapeString(class))
	for i := 0; i < len(pairs); i += 2 {
		if v := pairs[i+1].(float64); v != 0 {
			fmt.Fprintf(&c.body, ` %s="%s"`, pairs[i], number(v))
		}
	}
	c.body.WriteString("/>")
}

// number is a coordinate to a tenth of a pixel; one that is none is 0, so that a
// picture of bad data stays a picture.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// TextWidth is about how wide a text of the given font size is, in pixels: most
// sans-serif digits and letters are 0.55 of the size on average.
func TextWidth(text string, size float64) float64 {
	return 0.55 * size * float64(len([]rune(text)))
}
