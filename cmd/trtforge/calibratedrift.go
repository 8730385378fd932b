package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/annotation"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/junit"
)

// driftSummary is what differs, in a line.
func driftSummary(d *calib.Drift) string {
	n := 0
	for _, t := range d.Tensors {
		if t.Exceeds {
			n++
		}
	}
	parts := []string{fmt.Sprintf("%d of %d ranges moved by more than %g %%", n, len(d.Tensors), d.Limit)}
	if len(d.Missing) > 0 {
		parts = append(parts, fmt.Sprintf("%d tensors are gone", len(d.Missing)))
	}
	if len(d.New) > 0 {
		parts = append(parts, fmt.Sprintf("%d are new", len(d.New)))
	}
	return strings.Join(append(slices.Clone(d.Other), parts...), "; ") // ranges of another model differ for that
}

// driftText is how a tensor moved.
func driftText(t calib.TensorDrift) string {
	return fmt.Sprintf("amax was %.5g, is %.5g (%+.1f %%)", t.Was, t.Is, t.Percent)
}

// writeDrift prints every tensor that moved by more than is allowed.
func writeDrift(w io.Writer, d *calib.Drift) error {
	for _, other := range d.Other { // ranges of another model differ for that
		_, _ = fmt.Fprintln(w, other)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := true
	for _, x := range d.Tensors {
		if !x.Exceeds {
			continue
		}
		if head {
			_, _ = fmt.Fprintln(t, "DRIFTED\tWAS\tIS\tBY")
			head = false
		}
		_, _ = fmt.Fprintf(t, "%s\t%.5g\t%.5g\t%+.1f %%\n", x.Tensor, x.Was, x.Is, x.Percent)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, name := range d.Missing {
		_, _ = fmt.Fprintf(w, "gone: %s\n", name)
	}
	for _, name := range d.New {
		_, _ = fmt.Fprintf(w, "new: %s\n", name)
	}
	if head {
		_, err := fmt.Fprintf(w, "%s\n", driftSummary(d))
		return err
	}
	return nil
}

// reports writes what build servers read of a check.
func (s *sink) reports(g *globals, d *calib.Drift) error {
	if s.JUnit != "" {
		if err := fsx.WriteFile(s.JUnit, func(w io.Writer) error { return junit.Write(w, driftSuite(s.Check, d)) }); err != nil {
			return err
		}
	}
	if !s.GitHub {
		return nil
	}
	for _, c := range driftSuite(s.Check, d).Cases {
		if c.Failure != "" {
			if err := annotation.Write(g.Err, annotation.Error, s.Check, c.Name, c.Failure); err != nil {
				return err
			}
		}
	}
	return nil
}

// driftSuite is a check as a test report: one case for the table as a whole and
// one a tensor.
func driftSuite(lock string, d *calib.Drift) junit.Suite {
	const class = "calibrate.check"
	s := junit.Suite{Name: "calibrate --check " + lock, Cases: []junit.Case{{Class: class, Name: "table", Failure: strings.Join(d.Other, "; ")}}}
	for _, t := range d.Tensors {
		c := junit.Case{Class: class, Name: t.Tensor, Output: driftText(t)}
		if t.Exceeds {
			c.Failure, c.Output = driftText(t), ""
		}
		s.Cases = append(s.Cases, c)
	}
	for _, name := range d.Missing {
		s.Cases = append(s.Cases, junit.Case{Class: class, Name: name, Failure: "it is in the committed table only"})
	}
	for _, name := range d.New {
		s.Cases = append(s.Cases, junit.Case{Class: class, Name: name, Failure: "it is not in the committed table"})
	}
	return s
}

// parsePercent reads "5%" or "5".
func parsePercent(flag, s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
	if err != nil || !(v >= 0 && v <= 1000) {
		return 0, fault.New(fault.Usage, "", "", fmt.Sprintf("%s %q", flag, s), "want a percentage, as 5%")
	}
	return v, nil
}
