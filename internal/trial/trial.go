package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/rows"
)

// System is an engine and the process that runs it.
type System struct {
	Name    string
	Model   jobs.Model
	Caller  jobs.Caller // its process; one with Stop, Continue and PID is halted and watched
	Key     string      // identifies what is measured: another key is another trial
	BuildMS float64     // what building it took; 0 = not known
	GPU     bool        // it runs on a GPU, whose memory, power and clock are sampled
}

// process is what a Caller may be able to do beside calls; an ort.Client is.
type process interface {
	Stop()
	Continue()
	PID() int
}

// Trial is what is to be measured and how. The zero value of a field is its
// default.
type Trial struct {
	Systems     []System
	Cases       []bench.Case
	Repetitions int           // timed requests of each system and case; 10
	Rounds      int           // turns that they are spread over; 6, the least number that makes pairs of two engines
	Until       float64       // goes on until each median's interval is within this share of it; 0 does not
	Most        int           // repetitions at most with Until; 20 x Repetitions
	Warmup      bench.Warmup  // before each turn
	Text        []int         // token ids of prompts; empty: random ones by Seed
	Seed        uint64        // of the order and of random prompts
	Timeout     time.Duration // of one turn; 10 minutes
	Dir         string        // results directory; "" keeps no files
	Afresh      bool          // begins again where Dir holds another trial, rather than refuse it
	CreatedBy   string
	Versions    map[string]string // of runtimes, for machine.json

	guard guard
	known map[string]map[string]float64 // medians of earlier turns: system, case
	lost  map[pair]int                  // turns in a row that failed
	out   Outcome
}

// pair is a system at a case.
type pair struct {
	system string
	index  int
}

// Outcome is what a trial came to.
type Outcome struct {
	Samples  []bench.Sample
	Machine  bench.Machine
	Warnings []string
	Resumed  int // samples that an earlier run had left
}

// giveUp is how many turns of a system at a case may fail in a row before it has no
// further one.
const giveUp = 2

// Run measures. An error means that there is no trial: a library that is missing, a
// directory that holds another trial, a signal. What fails while it is measured is
// part of the outcome.
func (t *Trial) Run(ctx context.Context, p progress.Counter) (*Outcome, error) {
	t.fill()
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.guard.files == nil {
		t.guard = newGuard()
		t.guard.pace = newPacer()
	}
	t.out.Machine = t.machine()
	record, err := t.open()
	if err != nil {
		return nil, err
	}
	defer record.close()
	t.out.Samples = record.samples
	t.out.Resumed = len(record.samples)
	t.remember(t.out.Samples)
	if err := record.machine(t.out.Machine); err != nil {
		return nil, err
	}
	if err := t.planned(ctx, record, p); err != nil {
		return nil, err
	}
	t.out.Warnings = append(t.out.Warnings, slices.Concat(t.vocabularies(), t.missed())...)
	return &t.out, record.rows(t.Rows())
}

// fill puts defaults in place of zeros.
func (t *Trial) fill() {
	if t.Repetitions == 0 {
		t.Repetitions = 10
	}
	if t.Rounds == 0 {
		t.Rounds = 6
	}
	if t.Most == 0 {
		t.Most = 20 * t.Repetitions
	}
	if t.Timeout == 0 {
		t.Timeout = 10 * time.Minute
	}
	t.known, t.lost = map[string]map[string]float64{}, map[pair]int{}
}

// check is everything that can be wrong before a process is started.
func (t *Trial) check() error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range t.Systems {
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("two engines are called %s", s.Name))
		}
		seen[s.Name] = true
	}
	for _, c := range t.Cases {
		if errs = append(errs, c.Check()); seen["case "+c.Key()] {
			errs = append(errs, fmt.Errorf("two scenarios are called %s", c.Key()))
		}
		seen["case "+c.Key()] = true
	}
	if len(t.Systems) == 0 || len(t.Cases) == 0 {
		errs = append(errs, errors.New("nothing to measure"))
	}
	return fault.Wrap(fault.Usage, "checking", "the benchmark", errors.Join(errs...), "name each engine by NAME=PATH, and each scenario once")
}

// planned takes the turns that are planned, then those that Until asks for.
func (t *Trial) planned(ctx context.Context, r *record, p progress.Counter) error {
	// What an earlier run took is not counted: it would make the rest look as short.
	turns := slices.DeleteFunc(t.turns(), func(turn bench.Turn) bool { return r.has(turn, t.Cases[turn.Case]) })
	total, done := len(turns), 0
	for {
		p.SetMax(int64(total))
		for i, turn := range turns {
			t.show(p, View{Done: done, Total: total, Turn: turn, Running: true})
			if err := t.turn(ctx, r, turn, again(turns[i+1:], turn), p); err != nil {
				return err
			}
			done++
			p.Set(int64(done))
		}
		t.show(p, View{Done: done, Total: total})
		if turns = t.further(); len(turns) == 0 {
			return nil
		}
		total += len(turns)
	}
}

// again tells whether the engine of a turn has another one in the same round. It
// stays open until then; each round opens it anew, which is how often its load is
// timed, and frees what earlier cases left in the runtime's arena.
func again(later []bench.Turn, turn bench.Turn) bool {
	return slices.ContainsFunc(later, func(o bench.Turn) bool { return o.Engine == turn.Engine && o.Round == turn.Round })
}

// turns are those that are planned from the start.
func (t *Trial) turns() []bench.Turn {
	var names []string
	for _, s := range t.Systems {
		names = append(names, s.Name)
	}
	return bench.Order(t.Seed, names, len(t.Cases), bench.Share(t.Repetitions, t.Rounds))
}

// turn gives one system its turn and keeps what it gave.
func (t *Trial) turn(ctx context.Context, r *record, turn bench.Turn, keep bool, p progress.Counter) error {
	at := pair{turn.Engine, turn.Case}
	if t.lost[at] >= giveUp {
		return nil
	}
	p.Note(turn.Engine + " " + t.Cases[turn.Case].Key())
	samples, err := t.measure(ctx, turn, keep)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && fault.Classify(err) == fault.Missing:
		return err
	case err != nil:
		failed := t.Cases[turn.Case].Failed(bench.Classify(err))
		failed.Engine, failed.Round = turn.Engine, turn.Round
		samples = []bench.Sample{failed}
	}
	if err := r.append(samples); err != nil {
		return err
	}
	t.out.Samples = append(t.out.Samples, samples...)
	t.remember(samples)
	return nil
}

// measure has the system's process take the turn, the others halted.
func (t *Trial) measure(ctx context.Context, turn bench.Turn, keep bool) ([]bench.Sample, error) {
	i := slices.IndexFunc(t.Systems, func(s System) bool { return s.Name == turn.Engine })
	s, c := t.Systems[i], t.Cases[turn.Case]
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	request := jobs.BenchRequest{
		Model: s.Model, Engine: s.Name, Cases: []bench.Case{c}, Round: turn.Round, Repetitions: turn.Repetitions,
		First: t.taken(pair{turn.Engine, turn.Case}), Warmup: t.Warmup, Text: t.Text, Seed: t.Seed, Keep: keep,
	}
	request.Warmup.Steady = t.known[s.Name]
	if proc, ok := s.Caller.(process); ok {
		proc.Continue()
		defer proc.Stop()
	}
	watch := t.guard.begin(s)
	if watch.blind != "" {
		t.warn(s.Name + ": nothing of the GPU's memory, power and clock: " + watch.blind)
	}
	result, err := jobs.Bench(ctx, s.Caller, request, progress.Noop)
	if err != nil {
		watch.end(nil)
		return nil, err
	}
	watch.end(result)
	if len(result.Samples) == 0 {
		return nil, errors.New("the engine's process answered without a sample")
	}
	for _, w := range result.Warnings {
		t.warn(w)
	}
	return result.Samples, nil
}

// warn notes a doubt about the trial, once.
func (t *Trial) warn(text string) {
	if !slices.Contains(t.out.Warnings, text) {
		t.out.Warnings = append(t.out.Warnings, text)
	}
}

// taken is how many requests of a system at a case were made so far.
func (t *Trial) taken(at pair) int {
	return len(t.of(at))
}

// of are the samples of a system at a case.
func (t *Trial) of(at pair) []bench.Sample {
	var all []bench.Sample
	for _, s := range t.out.Samples {
		if s.Engine == at.system && t.Cases[at.index].Has(s) {
			all = append(all, s)
		}
	}
	return all
}

// Rows are the rows of all samples so far, case by case and engine by engine in the
// order in which they were given, with the time that engines took to build.
func (t *Trial) Rows() []rows.Row {
	var samples []bench.Sample
	for i := range t.Cases {
		for _, s := range t.Systems {
			samples = append(samples, t.of(pair{s.Name, i})...)
		}
	}
	all := bench.Rows(samples)
	for _, s := range t.Systems {
		if s.BuildMS > 0 {
			all = append(all, rows.Exact(s.Name, bench.Build, "ms", s.BuildMS))
		}
	}
	return all
}

// vocabularies says which engines have other vocabularies than the first.
func (t *Trial) vocabularies() (warnings []string) {
	first := t.Systems[0]
	for _, s := range t.Systems[1:] {
		if s.Model.Contract != nil && first.Model.Contract != nil && s.Model.Contract.Vocab != first.Model.Contract.Vocab {
			warnings = append(warnings, fmt.Sprintf("%s has a vocabulary of %d tokens, %s of %d: they are not the same model",
				s.Name, s.Model.Contract.Vocab, first.Name, first.Model.Contract.Vocab))
		}
	}
	return warnings
}
