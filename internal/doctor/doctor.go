// Package doctor says what this machine has of all that trtforge can use: for
// each thing whether it was found, its version, what it enables and how to get
// it, and which environment variables change results without a word.
//
//	report := doctor.Examine(ctx, doctor.ThisMachine("1.2.3"))
//	err := report.Need([]string{"ort", "gpu"}) // Missing, exit status 3
//
// It looks and asks, in under two seconds; it loads no runtime (`trtforge setup`
// has done that when it installed), changes nothing and needs no network.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Status is how a check ended.
type Status string

// The ends of a check. Only what is missing can fail a --need.
const (
	OK      Status = "ok"
	Missing Status = "missing"
	Warning Status = "warning" // there, but it will surprise
)

// Check is one thing that was looked for.
type Check struct {
	ID      string   `json:"id"`
	What    string   `json:"what"`
	Status  Status   `json:"status"`
	Found   bool     `json:"found"`
	Version string   `json:"version,omitempty"`
	Detail  []string `json:"detail,omitempty"`
	Enables string   `json:"enables"`
	Fix     string   `json:"fix,omitempty"` // what to do if it is missing or a warning
}

// Report is every check, in the order in which people read them.
type Report struct {
	Kind          string  `json:"kind"`
	SchemaVersion int     `json:"schema_version"`
	CreatedBy     string  `json:"created_by"`
	Checks        []Check `json:"checks"`
}

// probe is a check before it was made.
type probe struct {
	id, what, enables, fix string
	look                   func(context.Context, Machine) finding
}

// finding is what a probe saw. A warning is a finding with a fix of its own.
type finding struct {
	found   bool
	version string
	detail  []string
	warn    string // what to do about a thing that is there and will surprise
}

// Examine makes every check.
func Examine(ctx context.Context, m Machine) Report {
	return examine(ctx, m, func(string) bool { return true })
}

// Require is [Report.Need] of the named things alone, and so takes no longer than
// looking for them.
func Require(ctx context.Context, m Machine, names ...string) error {
	return examine(ctx, m, func(id string) bool { return slices.Contains(names, id) }).Need(names)
}

// examine makes the checks that are wanted.
func examine(ctx context.Context, m Machine, wanted func(id string) bool) Report {
	r := Report{Kind: "doctor", SchemaVersion: 1, CreatedBy: "trtforge " + m.Version}
	for _, p := range probes() {
		if !wanted(p.id) {
			continue
		}
		f := p.look(ctx, m)
		c := Check{ID: p.id, What: p.what, Status: OK, Found: f.found, Version: f.version, Detail: f.detail, Enables: p.enables}
		switch {
		case !f.found:
			c.Status, c.Fix = Missing, p.fix
		case f.warn != "":
			c.Status, c.Fix = Warning, f.warn
		}
		r.Checks = append(r.Checks, c)
	}
	return r
}

// Needs is the names that Need understands.
func Needs() []string {
	return []string{"ort", "rtx", "reference", "oracle", "trt", "ort-gpu", "trtexec", "cuda", "gpu"}
}

// Need is nil where everything named is there. What is not gives a Missing error
// each, all of them at once; a name that is not among Needs is a Usage error.
func (r Report) Need(names []string) error {
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.ID == name })
		if i < 0 || !slices.Contains(Needs(), name) {
			errs = append(errs, fault.New(fault.Usage, "examining", name, "nothing of that name can be needed",
				"choose among "+strings.Join(Needs(), ", ")))
			continue
		}
		if c := r.Checks[i]; !c.Found {
			cause := fmt.Sprintf("%s is not on this machine", c.What)
			if len(c.Detail) > 0 {
				cause += ": " + strings.Join(c.Detail, "; ")
			}
			errs = append(errs, fault.New(fault.Missing, "looking for", name, cause, c.Fix))
		}
	}
	return errors.Join(errs...)
}
