package main

import "strings"

// table is a Markdown table.
type table struct {
	head  []string
	lines [][]string
}

func (t table) write(b *strings.Builder) {
	row := func(line []string) { b.WriteString("| " + strings.Join(line, " | ") + " |\n") }
	row(t.head)
	b.WriteString("|" + strings.Repeat("---|", len(t.head)) + "\n")
	for _, line := range t.lines {
		row(line)
	}
	b.WriteString("\n")
}
