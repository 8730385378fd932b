package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
)

// rounds is how many turns each engine gets: repetitions are spread over them,
// so that drift of the machine does not favour one engine.
const rounds = 5

// runBench times all engines in turns.
func (j *job) runBench(ctx context.Context, dir string, p progress.Counter) error {
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	text, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	engines := map[string]*engineStage{}
	var names []string
	for _, e := range j.engines {
		if e.validate != nil {
			engines[e.Name()] = e
			names = append(names, e.Name())
		}
	}
	scenarios := map[string]profiles.Scenario{}
	var order []string
	for _, s := range j.config.Workload.Scenarios {
		scenarios[s.Name] = s
		order = append(order, s.Name)
	}
	turns := bench.Order(j.config.Run.Seed, names, order, min(rounds, j.config.Run.Repetitions))
	p.SetMax(int64(len(turns)))
	var samples []bench.Sample
	for i, t := range turns {
		model, err := j.engineModel(engines[t.Engine])
		if err != nil {
			return err
		}
		model.Spin = true
		request := jobs.BenchRequest{
			Model: model, Engine: t.Engine, Round: t.Round, Text: text, Seed: j.config.Run.Seed,
			Repetitions: share(j.config.Run.Repetitions, min(rounds, j.config.Run.Repetitions), t.Round),
		}
		for _, name := range t.Scenarios {
			request.Scenarios = append(request.Scenarios, scenarios[name])
		}
		p.Note(t.Engine)
		// A scenario that fails is a row; a process that dies is no measurement.
		result, err := jobs.Bench(ctx, client, request, progress.Noop)
		if err != nil {
			return fmt.Errorf("timing %s: %w", t.Engine, err)
		}
		samples = append(samples, result.Samples...)
		p.Set(int64(i + 1))
	}
	return writeRows(filepath.Join(dir, rowsFile), j.options.CreatedBy, bench.Rows(samples))
}

// share is how many of n repetitions fall into one of several rounds.
func share(n, rounds, round int) int {
	k := n / rounds
	if round < n%rounds {
		k++
	}
	return k
}
