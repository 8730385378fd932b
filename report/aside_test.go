package report

import (
	"strings"
	"testing"
)

// A part of the writer's own stands on the page, in its contents and in Markdown, with
// what is in it escaped.
func TestAsides(t *testing.T) {
	a := Aside{Title: "What was lost", Text: []string{"A <sentence>."}, Head: []string{"Run", "Why"}, Lines: [][]string{{"4 | 5", "a reason that is longer than its column would be"}, {"6"}}}
	d := Data{Title: "t", Asides: []Aside{a}}
	var page, text strings.Builder
	if err := HTML(&page, d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<section id="aside-what-was-lost">`, "A &lt;sentence&gt;.", `<th scope="row">4 | 5</th><td class="wrap">a reason`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if err := Markdown(&text, d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## What was lost\n\nA <sentence>.\n\n", `| 4 \| 5 `} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	for i, line := range strings.Split(a.Markdown(), "\n") {
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); strings.HasPrefix(line, "|") && n != 3 {
			t.Errorf("line %d has %d bars: %s", i, n, line)
		}
	}
	if m := merge([]*Data{{Title: "a", Asides: []Aside{a}}, {Title: "b"}}, []string{"a", "b"}); len(m.Asides) != 1 {
		t.Errorf("%d asides after merging", len(m.Asides))
	}
}
