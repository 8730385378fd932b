package report

import (
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// Profiles is what a page about profiles alone shows.
type Profiles struct {
	CreatedBy string
	Title     string         // the model or file
	Source    string         // where the profiles come from: a file and its syntax; may be empty
	Plan      *profiles.Plan // its demand may be empty: then the page shows what the profiles hold
	Gaps      []profiles.Gap
}

// mostGaps bounds the table of gaps: whoever has more reads the map.
const mostGaps = 50

type profilesPage struct {
	Profiles
	Style    template.CSS
	Headline string
	Lead     string
	Map      *picture
	Lines    []planLine
	Gaps     []gapLine
	MoreGaps string
	Inputs   []inputLine
}

type gapLine struct{ Shape, Fix string }

type inputLine struct{ Profile, Class, Input, Min, Opt, Max string }

// ProfilesHTML writes one self-contained page: the map of shapes, each profile,
// what no profile holds and how to mend it, and the ranges of every input.
func ProfilesHTML(w io.Writer, p Profiles) error {
	t, err := template.ParseFS(assets, "profiles.html")
	if err != nil {
		return fmt.Errorf("reading the template of profiles: %w", err)
	}
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("reading the report's style: %w", err)
	}
	d := Data{Plan: p.Plan}
	page := profilesPage{Profiles: p, Style: template.CSS(style), Map: d.shapes(), Lines: d.planLines(), Inputs: inputLines(p.Plan)}
	page.Headline, page.Lead = p.verdict()
	for _, g := range p.Gaps[:min(len(p.Gaps), mostGaps)] {
		page.Gaps = append(page.Gaps, gapLine{g.Shape.String(), g.String()})
	}
	if more := len(p.Gaps) - len(page.Gaps); more > 0 {
		page.MoreGaps = fmt.Sprintf("And %d more.", more)
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("writing the page of profiles: %w", err)
	}
	return nil
}

// verdict is the page's first line and what to add to it.
func (p Profiles) verdict() (headline, lead string) {
	reach := map[profiles.Reach]string{profiles.Any: "The runtime can switch between the profiles.",
		profiles.First: "The runtime only ever runs profile 0."}[p.Plan.Reach]
	if len(p.Plan.Profiles) < 2 {
		reach = ""
	}
	d := Data{Plan: p.Plan}
	if proof := d.proof(); proof != "" {
		return strings.TrimSuffix(proof, "."), reach
	}
	return upperFirst(plural(len(p.Plan.Profiles), "profile")), strings.TrimSpace("No workload was given, so nothing is proved. " + reach)
}

// inputLines are the ranges of all inputs, those alike in one profile once.
func inputLines(plan *profiles.Plan) []inputLine {
	var all []inputLine
	for i, p := range plan.Profiles {
		at := map[string]int{}
		for _, r := range p.Inputs {
			key := fmt.Sprint(r.Min, r.Opt, r.Max, family(r.Input))
			if j, known := at[key]; known && family(r.Input) != r.Input {
				all[j].Input = family(r.Input)
				continue
			}
			at[key] = len(all)
			all = append(all, inputLine{Profile: fmt.Sprint(i), Class: fmt.Sprintf("p%d", i%4), Input: r.Input, Min: dims(r.Min), Opt: dims(r.Opt), Max: dims(r.Max)})
		}
	}
	return all
}

// family is the name of an input with its numbers left open: a cache has one of
// a kind for each layer.
func family(name string) string {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}

func dims(shape []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", " × "), "[]")
}
