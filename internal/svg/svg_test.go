package svg

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestCanvasIsWellFormedWhateverIsDrawn(t *testing.T) {
	c := New(`a"b`, 100, 50, "1 < 2 & 3", `"quoted"`)
	c.Rect("x", math.NaN(), math.Inf(1), -5, 10, 2)
	c.Line("x", 0, 1.26, 2, 3)
	c.Polyline("x", []float64{1, math.NaN()}, []float64{2.26, math.Inf(-1)})
	c.Group("g", "tip <b>", func() {
		c.Circle("x", 1, 2, 3)
		c.Text(`"c"`, 1, 2, Middle, "</text><script>")
	})
	text := c.String()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, text)
		}
	}
	for _, part := range []string{"<title id=", "1 &lt; 2 &amp; 3", "<desc id=", `role="img"`, `y1="1.3"`, `points="1,2.3 0,0"`} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	for _, part := range []string{"<script", "NaN", "Inf", `width="-5"`} {
		if strings.Contains(text, part) {
			t.Errorf("%q in %s", part, text)
		}
	}
}

func TestScale(t *testing.T) {
	linear := Scale{From: 0, To: 10, A: 100, B: 200}
	log := Scale{From: 1e-4, To: 1, A: 0, B: 400, Log: true}
	for _, c := range []struct {
		s       Scale
		v, want float64
	}{{linear, 5, 150}, {linear, -5, 100}, {linear, 50, 200}, {linear, math.NaN(), 100}, {log, 1e-2, 200}, {log, 0, 0}, {log, math.Inf(1), 400},
		{Scale{From: 3, To: 3, A: 7, B: 9}, 3, 7}} {
		if got := c.s.At(c.v); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v.At(%g) = %g, want %g", c.s, c.v, got, c.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		n      int
		want   []float64
	}{{0, 10, 5, []float64{0, 2, 4, 6, 8, 10}}, {0, 0.9, 3, []float64{0, 0.5, 1}}, {0, 27, 3, []float64{0, 10, 20, 30}},
		{5, 5, 3, []float64{5}}, {0, math.Inf(1), 3, []float64{0}}} {
		if got := Ticks(c.lo, c.hi, c.n); !slices.Equal(got, c.want) {
			t.Errorf("Ticks(%g, %g, %d) = %v, want %v", c.lo, c.hi, c.n, got, c.want)
		}
	}
	if got := Decades(3e-4, 0.1); len(got) != 4 || got[0] != 1e-4 || got[3] != 0.1 {
		t.Errorf("Decades = %v", got)
	}
	if got := Decades(0, 1); len(got) != 2 {
		t.Errorf("Decades of nothing = %v", got)
	}
	if got := Decades(1, 1); len(got) != 2 {
		t.Errorf("Decades of a point = %v", got)
	}
}
