package gate

import (
	"io"
	"strings"

	"github.com/trtforge/trtforge/internal/annotation"
	"github.com/trtforge/trtforge/internal/junit"
)

// JUnit is a case for each verdict, by engine. What is not evaluated is skipped.
func JUnit(name string, verdicts []Verdict) junit.Suite {
	s := junit.Suite{Name: name}
	for _, v := range verdicts {
		c := junit.Case{Class: v.Engine, Name: strings.TrimSpace(v.Gate + " " + v.Phase)}
		detail := v.Evidence
		if v.Note != "" {
			detail += "\n" + v.Note
		}
		switch v.Status {
		case Fail:
			c.Failure, c.Detail = v.Evidence, detail
		case NotEvaluated:
			c.Skipped = v.Reason
		default:
			c.Output = detail
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

// Annotate writes GitHub annotations: an error for each gate that failed, then a
// notice for each reason that left gates open, with the engines it is about. file
// is shown with them and may be empty.
func Annotate(w io.Writer, file string, verdicts []Verdict) error {
	open := map[string][]string{}
	var reasons []string
	for _, v := range verdicts {
		switch {
		case v.Status == Fail:
			if err := annotation.Write(w, annotation.Error, file, v.subject()+" "+v.Gate, v.Evidence); err != nil {
				return err
			}
		case v.Status == NotEvaluated && !v.Exempt:
			if open[v.Reason] == nil {
				reasons = append(reasons, v.Reason)
			}
			open[v.Reason] = append(open[v.Reason], v.subject()+" "+v.Gate)
		}
	}
	for _, reason := range reasons {
		if err := annotation.Write(w, annotation.Notice, file, "not evaluated: "+reason, strings.Join(open[reason], ", ")); err != nil {
			return err
		}
	}
	return nil
}
