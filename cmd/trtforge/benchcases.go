package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/bench/format"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/task"
)

// cases are what is to be measured: by the flags, else by the pipeline file, else a
// request that any model can answer.
func (o *BenchOptions) cases(g *globals, engines *pipeline.Runnables, repetitions int) ([]bench.Case, error) {
	modes, err := o.modes()
	if err != nil {
		return nil, err
	}
	positions := engines.Positions()
	w, requests, err := o.workload(g, engines, repetitions)
	if err != nil {
		return nil, err
	}
	if len(w.Scenarios) == 0 && len(requests) == 0 {
		w.Scenarios = []profiles.Scenario{anyScenario(positions)}
	}
	if err := w.Fit(positions); err != nil {
		return nil, err
	}
	return bench.Cases(w, bench.Spread{Modes: modes, Depths: o.Depths, Ragged: o.Ragged, Requests: requests})
}

// workload is that of the flags or of the pipeline, with the requests that are drawn
// from its trace or distribution.
func (o *BenchOptions) workload(g *globals, engines *pipeline.Runnables, repetitions int) (profiles.Workload, []bench.Request, error) {
	positions := engines.Positions()
	flags := o.Workload
	flags.Mode = "" // a list here, which modes reads
	if c := engines.Config; c != nil && !flags.Given() {
		flags.over(&c.Workload)
		requests, err := c.Requests(positions, repetitions, o.Seed)
		return c.Workload, requests, err
	}
	draw := task.NewDraw(repetitions, o.Seed)
	flags.each = draw.Add
	w, _, err := flags.Read(g, positions)
	if err == nil {
		err = task.DrawLengths(w, positions, draw)
	}
	return w, draw.Requests, err
}

// modes are those of --mode; none leaves them to the workload.
func (o *BenchOptions) modes() ([]bench.Mode, error) {
	if o.Workload.Mode == "" {
		return nil, nil
	}
	var all []bench.Mode
	for _, word := range strings.Split(o.Workload.Mode, ",") {
		switch word {
		case "cached", "uncached", "chunked":
			all = append(all, bench.Mode(word))
		case "both":
			all = append(all, bench.Cached, bench.Uncached)
		case "all":
			all = append(all, bench.Cached, bench.Uncached)
			if o.Workload.Chunk > 0 {
				all = append(all, bench.Chunked)
			}
		default:
			return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("--mode %q", o.Workload.Mode), "want a list of cached, uncached, chunked, both and all")
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if slices.Contains(all, bench.Chunked) && o.Workload.Chunk < 1 {
		return nil, fault.New(fault.Usage, "", "", "--mode chunked without the size of the chunks", "add --chunk 64")
	}
	return all, nil
}

// anyScenario is a request that a model of so many positions can answer.
func anyScenario(positions int) profiles.Scenario {
	prompt, fresh := 128, 32
	if positions > 0 {
		prompt, fresh = max(min(prompt, positions/2), 1), max(min(fresh, positions/4), 1)
	}
	return profiles.Scenario{Name: fmt.Sprintf("1x%d+%d", prompt, fresh), Batch: 1, PromptTokens: prompt, NewTokens: fresh, Weight: 1}
}

// prompts are the token ids that requests submit; none are random ones.
func (o *BenchOptions) prompts(c *pipeline.Config) ([]int, error) {
	tokenizer, path := o.Workload.Tokenizer, o.Text
	switch {
	case o.IDs != "":
		wide, err := text.IDs(o.IDs)
		ids := make([]int, len(wide))
		for i, id := range wide {
			ids[i] = int(id)
		}
		return ids, err
	case path == "" && c != nil:
		tokenizer, path = c.Model.Path, c.Text.Evaluate
	case path == "":
		return nil, nil
	}
	return MeasureOptions{Text: path, Tokenizer: tokenizer}.ids(tokenizer)
}

// writeBench is the table for people.
func writeBench(w io.Writer, r format.Run) error {
	lines, notes := format.Table(r.Rows)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	put := func(cells []string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	put(format.Header)
	for _, l := range lines {
		put(l.Cells())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w, "\nMedians, ± the farther end of the 95 % interval; loop: share of a request outside the engine's runs.")
	for i, n := range notes {
		_, _ = fmt.Fprintf(w, "[%d] %s\n", i+1, oneLine(n))
	}
	for _, x := range r.Rows {
		if x.Name == bench.Load || x.Name == bench.Build {
			_, _ = fmt.Fprintf(w, "%s: %s %s\n", x.Engine, map[string]string{bench.Load: "opened in", bench.Build: "built in"}[x.Name], milliseconds([]float64{x.Value}))
		}
	}
	for _, n := range slices.Concat(r.Machine.Warnings, r.Warnings) {
		_, _ = fmt.Fprintln(w, n)
	}
	_, err := fmt.Fprintln(w, format.Describe(r.Machine))
	return err
}
