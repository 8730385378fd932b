package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
)

// Quantization is what a page about one quantization shows.
type Quantization struct {
	CreatedBy       string
	Title           string // the model or directory
	Decisions       *quant.Decisions
	Search          *search.Result // nil where nothing was measured
	Before, After   int64          // bytes of all weights
	Read, ReadAfter int64          // bytes of weights that a decode step reads
	Notes           []string
}

type quantizationPage struct {
	Quantization
	Style       template.CSS
	Headline    string
	Lead        string
	Sensitivity *picture
	Frontier    *picture
	Products    []productLine
	Measured    bool
	Parts       bool
}

type productLine struct {
	Node, Role, Layer   string
	INT8                bool
	Reason              string
	Amax, Bytes         string
	KL, KLInterval, PPL string
	Activation, Weight  string
}

// QuantizationHTML writes one self-contained page: what each product costs, the
// frontier of a search, and what became of every product and why.
func QuantizationHTML(w io.Writer, q Quantization) error {
	t, err := template.ParseFS(assets, "quantization.html")
	if err != nil {
		return fmt.Errorf("reading the template of quantizations: %w", err)
	}
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("reading the report's style: %w", err)
	}
	page := quantizationPage{Quantization: q, Style: template.CSS(style)}
	page.Headline, page.Lead = q.verdict()
	page.Sensitivity, page.Frontier = q.sensitivity(), q.frontier()
	for _, c := range q.Decisions.Decisions {
		page.Products = append(page.Products, productOf(c))
		page.Measured = page.Measured || c.Sensitivity != nil
		page.Parts = page.Parts || c.Sensitivity != nil && c.Sensitivity.Weight != 0
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("writing the page of a quantization: %w", err)
	}
	return nil
}

// verdict is the page's first line and what to add to it.
func (q Quantization) verdict() (headline, lead string) {
	n := 0
	for _, c := range q.Decisions.Decisions {
		if c.Quantized {
			n++
		}
	}
	headline = fmt.Sprintf("%d of %s INT8", n, plural(len(q.Decisions.Decisions), "matrix product"))
	lead = fmt.Sprintf("Precision %s. Weights %s, were %s. A decode step reads %s of them, was %s.",
		q.Decisions.Precision, size(float64(q.After)), size(float64(q.Before)), size(float64(q.ReadAfter)), size(float64(q.Read)))
	if q.Search == nil || q.Search.Chosen.Chosen == nil {
		return headline, lead
	}
	m := q.Search.Chosen.Measured
	unseen := q.Search.Chosen.Confirmed
	if q.Search.Final != nil {
		unseen = &q.Search.Final.Measured
	}
	if unseen != nil {
		m = *unseen
		lead += " On windows that the search did not see:"
	}
	lead += fmt.Sprintf(" KL divergence %s nats a token (at most %s), perplexity %s (at most %s).", scientific(m.KL.Value), scientific(m.KL.Hi), percent(m.PPL.Value), percent(m.PPL.Hi))
	return headline, lead
}

func productOf(c quant.Choice) productLine {
	p := productLine{Node: c.Node, Role: string(c.Role), Layer: "–", INT8: c.Quantized, Reason: c.Reason}
	if c.WeightBytes > 0 {
		p.Bytes = size(float64(c.WeightBytes))
	}
	if c.Layer >= 0 {
		p.Layer = fmt.Sprint(c.Layer)
	}
	if c.Amax > 0 {
		p.Amax = significant(float64(c.Amax))
	}
	if s := c.Sensitivity; s != nil {
		p.KL, p.PPL = scientific(float64(s.KL)), percent(float64(s.PPLRatio))
		p.KLInterval = scientific(float64(s.KLLo)) + " – " + scientific(float64(s.KLHi))
		if s.Weight != 0 {
			p.Activation, p.Weight = scientific(float64(s.Activation)), scientific(float64(s.Weight))
		}
	}
	return p
}

// Worst are effects with those that cost the most first.
func Worst(all []search.Effect) []search.Effect {
	return slices.SortedStableFunc(slices.Values(all), func(a, b search.Effect) int { return cmp.Compare(b.Both.KL.Value, a.Both.KL.Value) })
}
