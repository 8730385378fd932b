package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/report"
)

// quantized is what quantize prints.
type quantized struct {
	Out       string          `json:"out,omitempty"` // the directory; "" of a dry run
	Precision quant.Precision `json:"precision"`
	Products  int             `json:"products"`  // matrix products with a weight; 0 where nothing was to be quantized
	Quantized int             `json:"quantized"` // of them
	Roles     []roleCount     `json:"roles,omitempty"`
	Before    int64           `json:"weight_bytes_before"`
	After     int64           `json:"weight_bytes_after"`
	Read      int64           `json:"decode_bytes_before"` // weights that a decode step reads
	ReadAfter int64           `json:"decode_bytes_after"`
	Single    int             `json:"float32_nodes,omitempty"` // in a narrow graph
	Notes     []string        `json:"notes,omitempty"`
	Decisions []quant.Choice  `json:"decisions,omitempty"`
	Search    *search.Result  `json:"search,omitempty"`

	dry bool
}

type roleCount struct {
	Role      quant.Role `json:"role"`
	Products  int        `json:"products"`
	Quantized int        `json:"quantized"`
}

func summarise(o QuantizeOptions, m *onnx.Model, out *quant.Result, d *quant.Decisions, found *search.Result) quantized {
	q := quantized{
		Out: o.Out, Precision: d.Precision, Products: len(d.Decisions), Before: m.Size(), After: out.Model.Size(),
		Read: quant.Traffic(m), ReadAfter: quant.Traffic(out.Model), Single: len(out.Single), Notes: out.Notes, Decisions: d.Decisions, Search: found, dry: o.DryRun,
	}
	if o.DryRun {
		q.Out = ""
	}
	at := map[quant.Role]int{}
	for _, c := range d.Decisions {
		i, known := at[c.Role]
		if !known {
			i = len(q.Roles)
			at[c.Role], q.Roles = i, append(q.Roles, roleCount{Role: c.Role})
		}
		q.Roles[i].Products++
		if c.Quantized {
			q.Quantized++
			q.Roles[i].Quantized++
		}
	}
	return q
}

func (q quantized) write(w io.Writer) error {
	var b strings.Builder
	if q.dry {
		q.table(&b)
	} else {
		fmt.Fprintln(&b, filepath.Join(q.Out, quant.ModelFile))
	}
	if q.Products > 0 {
		var roles []string
		for _, r := range q.Roles {
			if r.Quantized > 0 {
				roles = append(roles, fmt.Sprintf("%d %s", r.Quantized, r.Role))
			}
		}
		fmt.Fprintf(&b, "%s: %d of %s INT8", q.Precision, q.Quantized, plural(q.Products, "product"))
		if len(roles) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(roles, ", "))
		}
		b.WriteByte('\n')
	} else {
		fmt.Fprintf(&b, "%s\n", q.Precision)
	}
	fmt.Fprintf(&b, "weights %s, were %s; a decode step reads %s of them, was %s\n", sizeOf(q.After), sizeOf(q.Before), sizeOf(q.ReadAfter), sizeOf(q.Read))
	if q.Single > 0 {
		fmt.Fprintf(&b, "%s in float32\n", plural(q.Single, "node"))
	}
	q.found(&b)
	for _, n := range q.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table prints a line for each product.
func (q quantized) table(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "NODE\tROLE\tLAYER\tINT8\tREASON")
	for _, c := range q.Decisions {
		layer := fmt.Sprint(c.Layer)
		if c.Layer < 0 {
			layer = "-"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Node, c.Role, layer, yesNo(c.Quantized), c.Reason)
	}
	_ = t.Flush() // of a builder never fails
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shownEffects is how many sensitivities stand in the text; decisions.json and
// the page have all.
const shownEffects = 8

// found prints what was measured.
func (q quantized) found(b *strings.Builder) {
	if q.Search == nil {
		return
	}
	worst := report.Worst(q.Search.Effects)
	fmt.Fprintf(b, "each product alone, the most sensitive of %d:\n", len(worst))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, e := range worst[:min(shownEffects, len(worst))] {
		parts := ""
		if e.Activation != nil && e.Weight != nil {
			parts = fmt.Sprintf("\tactivation %.2e, weight %.2e", e.Activation.KL.Value, e.Weight.KL.Value)
		}
		_, _ = fmt.Fprintf(t, "  %s\tKL %.2e (%.2e to %.2e)\tperplexity × %.5f%s\n", e.Node, e.Both.KL.Value, e.Both.KL.Lo, e.Both.KL.Hi, e.Both.PPL.Value, parts)
	}
	_ = t.Flush()
	if q.Search.Gate == (search.Gate{}) {
		for _, p := range q.Search.Points {
			fmt.Fprintf(b, "all %d together: %s\n", p.Chosen.Count(), cost(p.Measured))
		}
		return
	}
	chosen := q.Search.Chosen
	how := fmt.Sprintf("the best of %d measured", q.Search.Measurements)
	if q.Search.Exact {
		how = "no choice saves more"
	}
	fmt.Fprintf(b, "chosen %d of %d: %s; %s\n", chosen.Chosen.Count(), len(chosen.Chosen), cost(chosen.Measured), how)
	if chosen.Confirmed != nil {
		fmt.Fprintf(b, "confirmed on windows that the search did not see: %s\n", cost(*chosen.Confirmed))
	}
	if final := q.Search.Final; final != nil {
		fmt.Fprintf(b, "smoothed for the choice alone, as it is written: %s\n", cost(final.Measured))
	}
}

// cost is a measurement in a few words.
func cost(m search.Measurement) string {
	return fmt.Sprintf("KL %.2e (%.2e to %.2e), perplexity × %.5f (%.5f to %.5f)", m.KL.Value, m.KL.Lo, m.KL.Hi, m.PPL.Value, m.PPL.Lo, m.PPL.Hi)
}

// page writes the page of --html.
func (q quantized) page(path string, d *quant.Decisions) error {
	if err := makeParent(path); err != nil {
		return err
	}
	title := "dry run"
	if !q.dry {
		title = filepath.Base(filepath.Clean(q.Out))
	}
	p := report.Quantization{
		CreatedBy: createdBy(), Title: title, Decisions: d, Search: q.Search,
		Before: q.Before, After: q.After, Read: q.Read, ReadAfter: q.ReadAfter, Notes: q.Notes,
	}
	return fsx.WriteFile(path, func(w io.Writer) error { return report.QuantizationHTML(w, p) })
}

// bindings reads --bind.
func bindings(all []string) (contract.Bindings, error) { return contract.ParseBindings(all) }
