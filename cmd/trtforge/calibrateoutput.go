package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/calib/tableio"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/report"
)

// TableOutput are the flags that say what becomes of observations.
type TableOutput struct {
	Out          string
	Method       string
	Observations string
	HTML         string
	Check        string
	Drift        string
	JUnit        string
	GitHub       bool
}

// AddFlags declares the flags.
func (o *TableOutput) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "the `FILE` that gets the table")
	f.StringVar(&o.Method, "method", "", "how a range becomes the magnitude that is 127: absmax, percentile[:P], mse or entropy (default: that of the committed table of --check, or of the observations that are merged, or absmax)")
	f.StringVar(&o.Observations, "observations", "", "keep all that was seen in `FILE`, to go on from and to apply another method to (calibrate merge)")
	f.StringVar(&o.HTML, "html", "", "write a report to `FILE`: ranges, outliers, how they settled")
	f.StringVar(&o.Check, "check", "", "hold the ranges to the committed table in `FILE`")
	f.StringVar(&o.Drift, "drift", "5%", "by how much a range may differ from it, in `PERCENT`")
	f.StringVar(&o.JUnit, "junit", "", "with --check: write a JUnit report to `FILE`, a case for each tensor")
	f.BoolVar(&o.GitHub, "github", false, "with --check: print GitHub annotations on standard error")
}

// sink is where observations go, with everything read that can be wrong.
type sink struct {
	TableOutput
	method calib.Method
	lock   *calib.Table // nil where nothing is checked
	drift  float64      // percent
	saved  bool         // the table is written
}

// open reads the flags.
func (o TableOutput) open() (*sink, error) {
	s := &sink{TableOutput: o, method: calib.Absmax()}
	switch {
	case o.Out == "" && o.Check == "" && o.Observations == "":
		return nil, fault.New(fault.Usage, "", "", "nothing is done with what is seen", "name the table with -o, or a committed one with --check")
	case o.Check == "" && (o.JUnit != "" || o.GitHub):
		return nil, fault.New(fault.Usage, "", "", "--junit and --github report a check, and nothing is checked", "name the committed table with --check")
	}
	var err error
	if s.drift, err = parsePercent("--drift", o.Drift); err != nil {
		return nil, err
	}
	if o.Check != "" {
		in, err := tableio.ReadFile(o.Check)
		if err != nil {
			return nil, err
		}
		if s.lock = in.Table; o.Method == "" {
			if m, err := calib.ParseMethod(s.lock.Method); err == nil {
				s.method = m
			}
		}
	}
	if o.Method != "" {
		if s.method, err = calib.ParseMethod(o.Method); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// calibrated is what calibrate and merge print.
type calibrated struct {
	Out      string          `json:"out,omitempty"`
	Method   string          `json:"method"`
	Samples  int             `json:"samples"`
	Tokens   int64           `json:"tokens"`
	Tensors  int             `json:"tensors"`
	Stopped  string          `json:"stopped,omitempty"`
	Unstable string          `json:"unstable,omitempty"` // the stop rule that was never met
	Moving   []string        `json:"moving,omitempty"`   // tensors whose range was not settled
	Outliers []calib.Outlier `json:"outliers"`
	Drift    *calib.Drift    `json:"drift,omitempty"`
	Error    *problem        `json:"error,omitempty"`
}

// dominant is how many channels are named a tensor.
const dominant = 3

// save writes the table and the report, and holds the table to the committed one.
func (s *sink) save(seen *calib.Observations) (out calibrated, err error) {
	table, err := seen.Table(s.method)
	if err != nil {
		return out, err
	}
	out = calibrated{Out: s.Out, Method: table.Method, Samples: table.Samples, Tokens: table.Tokens, Tensors: len(table.Ranges)}
	if out.Outliers, err = seen.Outliers(s.method, dominant); err != nil {
		return out, err
	}
	out.Moving = seen.Moving()
	switch {
	case seen.Stopped != nil:
		out.Stopped = seen.Stopped.String()
	case seen.Until != nil:
		out.Unstable = fmt.Sprintf("never stable within %g %%: all %s were run", seen.Until.Percent, plural(seen.Samples, "sample"))
	}
	if s.lock != nil {
		out.Drift = calib.Compare(s.lock, table, s.drift)
	}
	if s.Out != "" {
		if err := errors.Join(makeParent(s.Out), table.WriteFile(s.Out)); err != nil {
			return out, err
		}
		s.saved = true
	}
	if s.HTML == "" {
		return out, nil
	}
	if err := makeParent(s.HTML); err != nil {
		return out, err
	}
	page := report.Calibration{CreatedBy: createdBy(), Title: filepath.Base(cmp.Or(s.Out, s.Check, s.Observations)),
		Table: table, Observations: seen, Outliers: out.Outliers, Drift: out.Drift}
	return out, fsx.WriteFile(s.HTML, func(w io.Writer) error { return report.CalibrationHTML(w, page) })
}

// tell prints the result; a drift decides the exit status.
func (s *sink) tell(g *globals, out calibrated) error {
	if out.Unstable != "" {
		g.Log.Warn(out.Unstable)
	}
	if n := len(out.Moving); n > 0 {
		g.Log.Warn(fmt.Sprintf("%d of %d ranges were still moving in the second half of the samples: take more --samples", n, out.Tensors))
	}
	if out.Drift == nil {
		return g.print(out, out.write)
	}
	if err := s.reports(g, out.Drift); err != nil {
		return err
	}
	failed := out.Drift.Err()
	if failed != nil {
		failed = fault.New(fault.Gate, "checking against", s.Check, driftSummary(out.Drift), fixOf(failed))
		p := describe(failed)
		out.Error = &p
	}
	if err := g.print(out, out.write); err != nil || failed == nil {
		return err
	}
	if g.JSON {
		return printed{failed}
	}
	return failed
}

func (c calibrated) write(w io.Writer) error {
	name := cmp.Or(c.Out, "calibration")
	_, _ = fmt.Fprintf(w, "%s: %s, %s, %s, %s in all\n", name, plural(c.Tensors, "tensor"), c.Method, plural(c.Samples, "sample"), plural(int(c.Tokens), "token"))
	if c.Stopped != "" {
		_, _ = fmt.Fprintln(w, c.Stopped)
	}
	if err := writeOutliers(w, c.Outliers, shownOutliers); err != nil || c.Drift == nil {
		return err
	}
	return writeDrift(w, c.Drift)
}

// shownOutliers is how many tensors stand in the text; the report has all.
const shownOutliers = 8

// writeOutliers prints those that INT8 will hurt most: whose channels differ most.
func writeOutliers(w io.Writer, all []calib.Outlier, most int) error {
	worst := slices.SortedStableFunc(slices.Values(all), func(a, b calib.Outlier) int { return cmp.Compare(spread(b), spread(a)) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "TENSOR\tRANGE\tAMAX\tCLIPPED\tKURTOSIS\tDOMINANT CHANNELS")
	for _, x := range worst[:min(most, len(worst))] {
		var channels []string
		for _, d := range x.Dominant {
			channels = append(channels, fmt.Sprintf("%d (%.1f x)", d.Channel, d.Ratio))
		}
		_, _ = fmt.Fprintf(t, "%s\t%.4g..%.4g\t%.4g\t%.2g %%\t%.1f\t%s\n", x.Tensor, x.Lo, x.Hi, x.Amax, 100*x.Clipped, x.Kurtosis, strings.Join(channels, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(all) - most; more > 0 {
		_, err := fmt.Fprintf(w, "and %d more with lesser outliers: --html shows them\n", more)
		return err
	}
	return nil
}

// spread is by how much the greatest channel exceeds the median one.
func spread(x calib.Outlier) float64 {
	if len(x.Dominant) == 0 {
		return 0
	}
	return x.Dominant[0].Ratio
}
