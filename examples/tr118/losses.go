package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/report"
)

// losses sets what the study lost beside what happens to it here.
func (f *findings) losses() (a report.Aside, err error) {
	why, err := f.published.explain()
	if err != nil {
		return a, err
	}
	smoke, full, differ := f.published.staleness()
	theirs := f.published.proveTheirs()
	shapes, outside := 0, 0
	for _, c := range f.Ours {
		shapes, outside = shapes+c.Shapes, outside+c.Outside
	}
	a = report.Aside{Title: "What was lost, theirs and ours", Text: []string{f.headline()}, Head: []string{"What the study lost", "Why", "Here"}}
	a.Lines = [][]string{
		{
			fmt.Sprintf("%d of %d TensorRT runs of generation", f.published.count("generate"), f.published.count("generate")),
			fmt.Sprintf("Reach, not coverage: its %d profiles hold all %d shapes where every profile can be selected, and %d of them lie outside profile 0, on which a context begins", theirs[0].Profiles, theirs[0].Shapes, theirs[1].Outside),
			fmt.Sprintf("%d plans for %d shapes of prefill, uncached and cached decoding, each by what its runtime can reach: %d outside", len(f.Ours), shapes, outside),
		},
		{
			fmt.Sprintf("%d FP16 prefills of batches", f.published.count("prefill")),
			"A stale engine of a smoke run, with one profile, was taken for the one with five",
			fmt.Sprintf("An engine's key covers its profiles: `%.12s` and `%.12s` differ in %d inputs, so the first is never found for the second", smoke, full, len(differ)),
		},
		{
			"The evaluation: INT8 was calibrated on 512 samples of the test split that perplexity is measured on",
			"Nothing compared the two texts",
			"Refused: " + fmt.Sprint(f.Leak),
		},
		{
			"200 failed runs inside means",
			"A failure was a number",
			f.ownLosses(),
		},
	}
	for _, x := range why {
		a.Lines = append(a.Lines, []string{"“" + x.Message + "”", "`trtforge explain`, given the published profiles: " + x.Cause, "No such message: no shape lies outside"})
	}
	return a, nil
}

// count is how many runs of a mode the study lost.
func (p *published) count(mode string) (n int) {
	for _, d := range p.Runs.Degraded {
		if d.Mode == mode {
			n += d.Count
		}
	}
	return n
}

// ownLosses is every failure of this run by engine and class, with its first cause.
func (f *findings) ownLosses() string {
	type kind struct {
		engine string
		class  bench.Class
	}
	n, cause := map[kind]int{}, map[kind]string{}
	for _, o := range f.Outcomes {
		for _, s := range o.Samples {
			if s.Failure == nil {
				continue
			}
			k := kind{o.Name + " " + s.Engine, s.Failure.Class}
			if n[k]++; n[k] == 1 {
				cause[k] = s.Failure.Cause
			}
		}
	}
	if len(n) == 0 {
		total, _ := f.counts()
		return fmt.Sprintf("0 of %d requests failed", total)
	}
	var lines []string
	for k, count := range n {
		lines = append(lines, fmt.Sprintf("%s: %d %s (%s)", k.engine, count, k.class, cause[k]))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// proofs is the table behind the first of the losses.
func (f *findings) proofs() report.Aside {
	a := report.Aside{
		Title: "Profiles, proved", Text: []string{"Distinct shapes that the scenarios ask for, and how many no reachable profile holds."},
		Head: []string{"Profiles for", "Runtime", "Profiles", "Shapes", "Outside"},
	}
	for _, c := range append(f.published.proveTheirs(), f.Ours...) {
		a.Lines = append(a.Lines, []string{c.What, c.Runtime, fmt.Sprint(c.Profiles), fmt.Sprint(c.Shapes), fmt.Sprint(c.Outside)})
	}
	return a
}

// gpuEngines are those of the study that run on a GPU only.
var gpuEngines = []string{"orttrt-fp32", "orttrt-fp16", "orttrt-int8", "rtx-fp32", "rtx-fp16", "rtx-int8"}

// needsGPU is why they are not measured here.
const needsGPU = "needs a GPU; its profiles are proved to hold every shape"

// absent names what needs a GPU.
func (f *findings) absent() report.Aside {
	a := report.Aside{Title: "Rows for a GPU", Head: []string{"Engine", "Verdict"}}
	for _, e := range gpuEngines {
		a.Lines = append(a.Lines, []string{e, "not evaluated, " + needsGPU})
	}
	return a
}
