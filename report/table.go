package report

import (
	"fmt"
	"strings"
)

// table is a Markdown table whose columns line up in the source too.
type table struct {
	align string // of each column, as in LaTeX: l for text, r for numbers
	head  []string
	lines [][]string
}

// newTable has no lines yet. Columns beyond align are of numbers.
func newTable(align string, head ...string) *table {
	return &table{align: align + strings.Repeat("r", len(head)-len(align)), head: head}
}

func (t *table) add(cells ...string) { t.lines = append(t.lines, cells) }

// plainCell keeps what ends a cell or a line out of a cell.
var plainCell = strings.NewReplacer("|", `\|`, "\n", " ")

func (t *table) write(b *strings.Builder) {
	widths := make([]int, len(t.head))
	for _, line := range append([][]string{t.head}, t.lines...) {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)), 3)
		}
	}
	row := func(line []string) {
		for i, cell := range line {
			cell = plainCell.Replace(cell)
			pad := strings.Repeat(" ", max(widths[i]-len([]rune(cell)), 0))
			if t.align[i] == 'l' {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	row(t.head)
	for i, w := range widths {
		rule := strings.Repeat("-", w+1)
		if t.align[i] == 'l' {
			b.WriteString("|:" + rule)
		} else {
			b.WriteString("|" + rule + ":")
		}
	}
	b.WriteString("|\n")
	for _, line := range t.lines {
		row(line)
	}
	b.WriteString("\n")
}

// under begins the section of that title.
func under(b *strings.Builder, title string) { fmt.Fprintf(b, "## %s\n\n", title) }

// section is a table under a heading; nothing where it has no lines.
func (t *table) section(b *strings.Builder, title string) {
	if len(t.lines) > 0 {
		under(b, title)
		t.write(b)
	}
}

// listed is lines under a heading; nothing where there are none.
func listed(b *strings.Builder, title string, lines []string) {
	if len(lines) > 0 {
		under(b, title)
		fmt.Fprintf(b, "- %s\n\n", strings.Join(lines, "\n- "))
	}
}
