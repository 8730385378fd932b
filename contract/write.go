package contract

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Write prints the contract as a table: every input and output with its kind, its
// type, its dimensions with their roles, and how the roles are known.
func (c *Contract) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "input\tkind\ttype\tdimensions\tknown by")
	for _, in := range c.Inputs {
		in.write(t)
	}
	_, _ = fmt.Fprintln(t, "output\tkind\ttype\tdimensions\tknown by")
	for _, out := range c.Outputs {
		out.write(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range c.facts() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func (t Tensor) write(w io.Writer) {
	dims := make([]string, len(t.Dims))
	sources := []string{}
	for i, d := range t.Dims {
		dims[i] = d.text()
		if s := string(d.Source); s != "" && !strings.Contains(strings.Join(sources, " "), s) {
			sources = append(sources, s)
		}
	}
	kind := string(t.Kind)
	if t.Kind == KindPastKey || t.Kind == KindPastValue || t.Kind == KindPresentKey || t.Kind == KindPresentValue {
		kind += " " + strconv.Itoa(t.Layer)
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t[%s]\t%s\n", printable(t.Name), kind, t.Type, strings.Join(dims, ", "), strings.Join(sources, ", "))
	if len(t.Values) > 0 {
		values := make([]string, len(t.Values))
		for i, d := range t.Values {
			values[i] = d.text()
		}
		_, _ = fmt.Fprintf(w, "  its values\t\t\t%s\tbound\n", strings.Join(values, ", "))
	}
}

// text is a dimension: its role, its size where it has one, its limits.
func (d Dim) text() string {
	switch {
	case d.Role == Static:
		return strconv.FormatInt(d.Size, 10)
	case d.Size > 0:
		return fmt.Sprintf("%s = %d", d.Role, d.Size)
	case d.Limits != nil:
		return fmt.Sprintf("%d..%d..%d", d.Limits.Min, d.Limits.Opt, d.Limits.Max)
	case d.Role == "":
		return "?"
	}
	return string(d.Role)
}

// printable is a name that cannot move a terminal's cursor.
func printable(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// facts are what holds for the graph as a whole.
func (c *Contract) facts() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if c.Cached() {
		add("%d layers of %d cache heads of %d", c.Layers, c.Heads, c.HeadDim)
	}
	if c.KVScale != "" {
		add("the cache's values are %s: only graphs with the same factors take it over", scale(c.KVScale))
	}
	if c.Decoder() {
		add("logits of %s positions over %d tokens", c.Logits, c.Vocab)
	}
	switch {
	case c.PositionsTable:
		add("past + seq is at most %d, and the graph itself fails beyond it", c.MaxPositions)
	case c.MaxPositions > 0:
		add("past + seq is at most %d", c.MaxPositions)
	}
	for _, t := range c.Inputs {
		for i, d := range t.Dims {
			if d.Role == Free && d.Limits == nil {
				add("%s: dimension %d has no limits yet: --bind %s:%d=MIN..MAX", printable(t.Name), i, t.Name, i)
			}
		}
	}
	for _, d := range c.Doubts {
		add("doubt: %s", d)
	}
	return all
}
