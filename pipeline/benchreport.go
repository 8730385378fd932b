package pipeline

import (
	"fmt"
	"time"

	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
)

// BenchReport is a trial of these engines as a report shows it. command makes its
// figures again. Gates are those of a pipeline file among the arguments.
func (all *Runnables) BenchReport(t *trial.Trial, out *trial.Outcome, command string) report.Data {
	now := time.Now().Format("2006-01-02 15:04 MST")
	d := report.Data{
		CreatedBy: t.CreatedBy, Title: "benchmark", Created: now, Rows: t.Rows(), Warnings: out.Warnings,
		Runs: []report.Run{{
			Command: command, Created: now, Author: t.CreatedBy, Machine: &out.Machine,
			Versions: []report.Fact{{Name: "trtforge", Value: t.CreatedBy}, {Name: "ort", Value: runtimes.VersionOf("ort")}},
			Inputs: []report.Fact{
				{Name: "seed", Value: fmt.Sprint(t.Seed)},
				{Name: "requests", Value: fmt.Sprintf("%d of each engine and scenario, in %d rounds", t.Repetitions, t.Rounds)},
			},
		}},
	}
	if all.Config != nil {
		d.Title, d.Limits = all.Config.Name, all.Config.Gates
	}
	seen := map[string]bool{}
	for _, c := range t.Cases {
		if !seen[c.Name] {
			seen[c.Name] = true
			d.Scenarios = append(d.Scenarios, profiles.Scenario{Name: c.Name, Batch: c.Batch, PromptTokens: c.PromptTokens, NewTokens: c.NewTokens, Weight: c.Weight})
		}
	}
	for _, r := range all.Engines {
		d.Engines = append(d.Engines, r.Reported())
	}
	d.Judge()
	return d
}
