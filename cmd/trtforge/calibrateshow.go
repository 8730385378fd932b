package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/calib/tableio"
)

func newCalibrateShowCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Print the ranges in a calibration table of any form",
		Long: `Show reads a table of any form that convert reads, or an observations file, and
prints the ranges of its tensors: what was seen, the magnitude that becomes 127, and
what share of the greater side that is.
` + exitStatus,
		Example: `  trtforge calibrate show table.json
  trtforge calibrate show model.cache --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runCalibrateShow(g, args[0]) },
	}
}

// shownTable is what show prints as JSON.
type shownTable struct {
	Form  tableio.Form `json:"form"`
	Table *calib.Table `json:"table"`
	Notes []string     `json:"notes,omitempty"`
}

func runCalibrateShow(g *globals, path string) error {
	head, err := headOf(path)
	if err != nil {
		return err
	}
	if isObservations(path, head) {
		return showObservations(g, path)
	}
	in, err := tableio.ReadFile(path)
	if err != nil {
		return err
	}
	return g.print(shownTable{in.Form, in.Table, in.Notes}, func(w io.Writer) error { return writeTable(w, in) })
}

// isObservations matches what calibrate --shard and --observations write.
var isObservations = jsonOf("observations")

// showObservations prints how far they are and what they say by the method that
// their curve follows.
func showObservations(g *globals, path string) error {
	seen, err := calib.ReadObservationsFile(path)
	if err != nil {
		return err
	}
	method := calib.Absmax()
	if seen.Curve != nil {
		if method, err = calib.ParseMethod(seen.Curve.Method); err != nil {
			return err
		}
	}
	outliers, err := seen.Outliers(method, dominant)
	if err != nil {
		return err
	}
	shown := shownOf(seen)
	shown.Outliers = outliers
	return g.print(shown, func(w io.Writer) error {
		_, _ = fmt.Fprintf(w, "observations, %s, %d of %d batches, %s, %s in all\n", plural(len(seen.Tensors), "tensor"), seen.Done, seen.Batches,
			plural(seen.Samples, "sample"), plural(int(seen.Tokens), "token"))
		if seen.Of > 1 {
			_, _ = fmt.Fprintf(w, "%s of the %d that the plan was divided into\n", plural(len(seen.Parts), "part"), seen.Of)
		}
		return writeOutliers(w, outliers, len(outliers))
	})
}

// shownObservations is what show prints of observations as JSON.
type shownObservations struct {
	Model    string          `json:"model"`
	Text     string          `json:"text"`
	Of       int             `json:"of"`
	Parts    []int           `json:"parts"`
	Done     int             `json:"done"`
	Batches  int             `json:"batches"`
	Samples  int             `json:"samples"`
	Tokens   int64           `json:"tokens"`
	Outliers []calib.Outlier `json:"outliers,omitempty"`
}

func shownOf(o *calib.Observations) shownObservations {
	return shownObservations{Model: o.Model, Text: o.Text, Of: o.Of, Parts: o.Parts, Done: o.Done, Batches: o.Batches, Samples: o.Samples, Tokens: o.Tokens}
}

func writeTable(w io.Writer, in *tableio.File) error {
	t := in.Table
	_, _ = fmt.Fprintf(w, "%s, %s, method %s\n", in.Form, plural(len(t.Ranges), "tensor"), t.Method)
	if t.Samples > 0 {
		_, _ = fmt.Fprintf(w, "%d samples, %d tokens in all\n", t.Samples, t.Tokens)
	}
	if t.Model != "" {
		_, _ = fmt.Fprintf(w, "model %.12s, text %.12s\n", t.Model, t.Text)
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tab, "TENSOR\tLO\tHI\tAMAX\tOF ALL")
	for _, name := range slices.Sorted(maps.Keys(t.Ranges)) {
		r := t.Ranges[name]
		share := "-"
		if most := max(-r.Lo, r.Hi); most > 0 {
			share = fmt.Sprintf("%.0f %%", 100*r.Amax/most)
		}
		_, _ = fmt.Fprintf(tab, "%s\t%.5g\t%.5g\t%.5g\t%s\n", name, r.Lo, r.Hi, r.Amax, share)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	for _, n := range in.Notes {
		if _, err := fmt.Fprintln(w, "note: "+n); err != nil {
			return err
		}
	}
	return nil
}
