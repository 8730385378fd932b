package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
)

// losses sets what the study lost beside what happens to it here.
func (f *findings) losses(b *strings.Builder) error {
	why, err := f.published.explain()
	if err != nil {
		return err
	}
	smoke, full, differ := f.published.staleness()
	theirs := f.published.proveTheirs()
	shapes, outside := 0, 0
	for _, c := range f.Ours {
		shapes, outside = shapes+c.Shapes, outside+c.Outside
	}
	b.WriteString("## What was lost, theirs and ours\n\n")
	t := table{head: []string{"What the study lost", "Why", "Here"}}
	t.lines = [][]string{
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
			"Refused: " + oneLine(fmt.Sprint(f.Leak)),
		},
		{
			"200 failed runs inside means",
			"A failure was a number",
			f.ownLosses(),
		},
	}
	t.write(b)
	b.WriteString("What `trtforge explain` makes of the three messages that the runs died with, given the published profiles:\n\n")
	for _, x := range why {
		fmt.Fprintf(b, "- `%s`: %s.\n", x.Message, x.Cause)
	}
	b.WriteString("\n")
	return nil
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
		lines = append(lines, fmt.Sprintf("%s: %d %s (%s)", k.engine, count, k.class, oneLine(cause[k])))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// proofs is the table behind the first of the losses.
func (f *findings) proofs(b *strings.Builder) {
	b.WriteString("## Profiles\n\nDistinct shapes that the scenarios ask for, and how many no reachable profile holds.\n\n")
	t := table{head: []string{"Profiles for", "Runtime", "Profiles", "Shapes", "Outside"}}
	for _, c := range append(f.published.proveTheirs(), f.Ours...) {
		t.lines = append(t.lines, []string{c.What, c.Runtime, fmt.Sprint(c.Profiles), fmt.Sprint(c.Shapes), fmt.Sprint(c.Outside)})
	}
	t.write(b)
}

// absent names what needs a GPU.
func (f *findings) absent(b *strings.Builder) {
	b.WriteString("## Not evaluated\n\n")
	for _, e := range []string{"orttrt-fp32", "orttrt-fp16", "orttrt-int8", "rtx-fp32", "rtx-fp16", "rtx-int8"} {
		fmt.Fprintf(b, "- %s: not evaluated, needs a GPU; its profiles are proved above\n", e)
	}
	b.WriteString("\n")
}

func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
