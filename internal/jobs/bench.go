package jobs

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
)

// BenchRequest asks for one turn of an engine. Every system that can be measured
// serves it: ONNX Runtime's child here, Python workers likewise.
type BenchRequest struct {
	Model
	Engine      string       `json:"engine"` // the name that samples carry
	Cases       []bench.Case `json:"cases"`  // in this order
	Round       int          `json:"round"`
	Repetitions int          `json:"repetitions"`     // timed requests a case; 5 where 0
	First       int          `json:"first,omitempty"` // number of the first repetition, by which a trace's requests are taken
	Warmup      bench.Warmup `json:"warmup"`
	Text        []int        `json:"text,omitempty"` // token ids of the prompts; empty: random ids by Seed
	Seed        uint64       `json:"seed"`
	// Keep leaves the engine open for the next request of the same model.
	Keep bool `json:"keep,omitempty"`
	// Tokens asks for what was generated, to hold systems against each other.
	Tokens bool `json:"tokens,omitempty"`
}

// BenchResult is what a turn gave.
type BenchResult struct {
	Samples  []bench.Sample `json:"samples"`
	LoadMS   float64        `json:"load_ms"` // opening the engine; 0 where it was open already
	Warnings []string       `json:"warnings,omitempty"`
	// Tokens are those of each case's last request by [bench.Case.Key], a list a row,
	// where they were asked for.
	Tokens map[string][][]int64 `json:"tokens,omitempty"`
}

// Bench times one engine on some cases. What fails in a case is a sample with a
// class; an error means that nothing was measured at all.
func Bench(ctx context.Context, c Caller, r BenchRequest, p progress.Counter) (*BenchResult, error) {
	result := &BenchResult{}
	if err := c.Call(ctx, benchJob, r, result, p); err != nil {
		return nil, err
	}
	return result, nil
}

// kept is the engine that the last request asked to keep open. Jobs run one at a
// time, so nobody else holds it.
var kept struct {
	path    string
	threads int
	spin    bool
	level   ort.Optimize
	kv      KV
	session *ort.Session
}

// session is the request's engine and how long it took to open; 0 where it was
// open already.
func (r BenchRequest) session() (*ort.Session, time.Duration, error) {
	if k := kept; k.session != nil && k.path == r.Path && k.threads == r.Threads && k.spin == r.Spin && k.level == r.Optimize && k.kv == r.KV {
		return k.session, 0, nil
	}
	if err := letGo(); err != nil {
		return nil, 0, err
	}
	s, load, err := r.open()
	if err == nil {
		kept.path, kept.threads, kept.spin, kept.level, kept.kv, kept.session = r.Path, r.Threads, r.Spin, r.Optimize, r.KV, s
	}
	return s, load, err
}

// letGo closes the kept engine.
func letGo() error {
	s := kept.session
	kept.session = nil
	if s == nil {
		return nil
	}
	return s.Close()
}

func benchmark(_ context.Context, call *child.Call) (any, error) {
	var r BenchRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(benchJob); err != nil {
		return nil, err
	}
	if r.Repetitions < 1 {
		r.Repetitions = 5
	}
	// The thread that calls ONNX Runtime is one of its intra-op threads: let it
	// stay the same, with what it has in its core's cache.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	session, load, err := r.session()
	if err != nil {
		return nil, err
	}
	result := &BenchResult{LoadMS: milliseconds(load)}
	if r.Tokens {
		result.Tokens = map[string][][]int64{}
	}
	call.Progress.SetMax(int64(len(r.Cases) * r.Repetitions))
	for i, c := range r.Cases {
		call.Progress.Note(c.Name)
		samples, warning := r.run(session, c, result.Tokens)
		for _, one := range samples {
			one.Engine, one.Round = r.Engine, r.Round
			result.Samples = append(result.Samples, one)
		}
		if warning != "" {
			result.Warnings = append(result.Warnings, warning)
		}
		call.Progress.Set(int64((i + 1) * r.Repetitions))
	}
	if len(result.Samples) > 0 {
		result.Samples[0].Load = result.LoadMS
	}
	if !r.Keep {
		return result, letGo()
	}
	return result, nil
}

// run times one case. A failure ends it: the next repetition would fail alike.
// Requests of a trace differ, so each has a timer of its own behind a warm-up with
// the longest; a failure of one is no reason to leave out the next. What was
// generated goes into tokens, which may be nil.
func (r BenchRequest) run(session *ort.Session, c bench.Case, tokens map[string][][]int64) (samples []bench.Sample, warning string) {
	child.ForgetPeak()
	t, failed := r.timer(session, c)
	if failed != nil {
		return []bench.Sample{*failed}, ""
	}
	defer func() { _ = t.Close() }()
	n, steady, failure := t.Warm(r.Warmup)
	if failure != nil {
		return []bench.Sample{c.Failed(failure)}, ""
	}
	if !steady {
		warning = fmt.Sprintf("%s, %s: not steady after %d requests of warm-up", r.Engine, c.Key(), n)
	}
	for i := range r.Repetitions {
		var one bench.Sample
		if len(c.Requests) > 0 {
			one = r.single(session, c.At(r.First+i))
		} else {
			one = t.Measure()
		}
		one.PeakRSS = child.OwnPeak()
		one.Warnings = append(one.Warnings, r.warnings(t.CacheOnHost())...)
		samples = append(samples, one)
		if one.Failure != nil && len(c.Requests) == 0 {
			break
		}
	}
	if tokens != nil && len(c.Requests) == 0 {
		tokens[c.Key()] = t.Tokens()
	}
	return samples, warning
}

// timer prepares a case; failed is its sample where that cannot be.
func (r BenchRequest) timer(session *ort.Session, c bench.Case) (t *bench.Timer, failed *bench.Sample) {
	t, err := bench.NewTimer(session, r.Contract, c, wide(r.Text), r.Seed, bench.Wall())
	if err != nil {
		s := c.Failed(bench.Classify(err))
		return nil, &s
	}
	return t, nil
}

// single times one request of lengths of its own.
func (r BenchRequest) single(session *ort.Session, c bench.Case) bench.Sample {
	t, failed := r.timer(session, c)
	if failed != nil {
		return *failed
	}
	defer func() { _ = t.Close() }()
	return t.Measure()
}
