package report

import (
	"strings"
)

// Aside is a part that whoever writes the data adds, shown as it is: sentences, and a
// table under them. It is for what this package has no form for.
type Aside struct {
	Title string     `json:"title"`
	Text  []string   `json:"text,omitempty"`
	Head  []string   `json:"head,omitempty"`
	Lines [][]string `json:"lines,omitempty"` // each as long as Head
}

// ID is the aside's place on the page.
func (a Aside) ID() string {
	return "aside-" + strings.Join(strings.FieldsFunc(strings.ToLower(a.Title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "-")
}

// Long tells whether the table is better folded away.
func (a Aside) Long() bool { return len(a.Lines) > 40 }

// Markdown is the aside as a section.
func (a Aside) Markdown() string {
	b := &strings.Builder{}
	under(b, a.Title)
	for _, text := range a.Text {
		b.WriteString(text + "\n\n")
	}
	if len(a.Head) == 0 {
		return b.String()
	}
	t := newTable(strings.Repeat("l", len(a.Head)), a.Head...)
	for _, line := range a.Lines {
		cells := make([]string, len(a.Head))
		for i := range min(len(line), len(cells)) {
			cells[i] = strings.Join(strings.Fields(line[i]), " ")
		}
		t.add(cells...)
	}
	t.write(b)
	return b.String()
}
