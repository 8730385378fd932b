package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// mostPlaces is how many points a line over positions has: neighbouring positions
// are joined, because single ones are noise.
const mostPlaces = 48

// positions draws perplexity and KL divergence by place in the window: an error
// that grows with the cache rises to the right. Nil where rows have none.
func (d *Data) positions() *picture {
	phase, engines := d.byPosition()
	if len(engines) == 0 {
		return nil
	}
	l := lines{id: d.prefix + "positions", title: "Accuracy by position", keys: keysOf(engines, labels(engines)),
		desc: "Perplexity, and mean KL divergence from PyTorch FP32, of each engine by the position of a token in its window."}
	whole := func(v float64) string { return count(int64(v)) }
	perplexity := linePanel{title: "Perplexity", across: "position in the window", logY: true, formatX: whole, formatY: trim}
	kl := linePanel{title: "Mean KL divergence, nats", across: "position in the window", logY: true, formatX: whole, formatY: power}
	for k, e := range engines {
		if r, ok := rows.Find(d.Rows, e.Name, "", phase, validate.NLLByPosition); ok {
			perplexity.series = append(perplexity.series, joined(k, r, mostPlaces, math.Exp))
		}
		if r, ok := rows.Find(d.Rows, e.Name, "", phase, validate.KLByPosition); ok {
			kl.series = append(kl.series, joined(k, r, mostPlaces, func(v float64) float64 { return math.Max(v, klFloor) }))
		}
	}
	for _, p := range []linePanel{perplexity, kl} {
		if len(p.series) > 0 {
			l.panels = append(l.panels, p)
		}
	}
	path := "prefill"
	if phase == bench.Decode {
		path = "cached decode"
	}
	return l.picture(fmt.Sprintf("Of %s, neighbouring positions joined. Perplexity falls as the model sees more of the text; a divergence that rises to the right grows with the cache. Engines that agree lie on one line, of which the last is seen. Scales are logarithmic.", path))
}

// power is a power of ten.
func power(v float64) string {
	e := math.Log10(v)
	if math.Abs(e-math.Round(e)) > 1e-6 {
		return scientific(v)
	}
	return "10" + superscript(int(math.Round(e)))
}

// byPosition are the engines of which rows tell positions, and on which path: that of
// cached decode where any has it.
func (d *Data) byPosition() (phase string, engines []Engine) {
	phase = bench.Decode
	if !slices.ContainsFunc(d.Rows, func(r rows.Row) bool { return r.Name == validate.NLLByPosition && r.Phase == phase }) {
		phase = bench.Prefill
	}
	return phase, slices.DeleteFunc(d.measured(validate.NLLByPosition), func(e Engine) bool {
		_, ok := rows.Find(d.Rows, e.Name, "", phase, validate.NLLByPosition)
		return !ok
	})
}

// joined is the means of neighbouring values at so many places, as a line without dots. A position is
// that of the token that is predicted, from 1.
func joined(key int, r rows.Row, places int, show func(float64) float64) series {
	s := series{key: key, bare: true}
	first := 1.0
	if at, err := strconv.ParseFloat(string(r.Extra[validate.FirstPosition]), 64); err == nil {
		first += at
	}
	values := r.Samples
	n := min(len(values), places)
	for i := range n {
		a, b := i*len(values)/n, (i+1)*len(values)/n
		sum, known := 0.0, 0
		for _, v := range values[a:b] {
			if bounded(v, v) {
				sum, known = sum+v, known+1
			}
		}
		if known == 0 {
			continue
		}
		s.x = append(s.x, first+float64(a+b-1)/2)
		s.y = append(s.y, show(sum/float64(known)))
	}
	return s
}
