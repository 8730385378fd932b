package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// Validation holds engines to PyTorch on one text. The reference is a bundle; with
// Live PyTorch runs beside each engine once more and streams its logits, so that
// every token of the vocabulary is compared.
type Validation struct {
	IDs     []int            // the text, as many tokens as the bundle was recorded on
	Text    string           // validate.IDsDigest of all of the text; "" = IDs are all of it
	Bundle  *validate.Bundle // open
	Dir     string           // the bundle's
	Windows int              // only the first so many; 0 = all
	Seed    uint64           // of bootstraps
	Temp    string           // an existing directory, for a pipe and for copies of graphs

	ORT  jobs.Caller
	Live func(ctx context.Context) (*child.Child, error) // PyTorch; nil: the bundle alone
	// Model is the checkpoint that Live runs, on so many threads.
	Model   string
	Threads int
}

// phases are the two ways in which logits come about.
var phases = []string{jobs.Prefill, jobs.Decode}

// Fits refuses, before any work, an engine that the text or the reference is not
// for: another vocabulary, another number of layers, fewer positions than a window.
func (v *Validation) Fits(r *Runnable) error {
	_, err := v.fits(r)
	return err
}

// fits is in what shapes an engine is scored, where it can be.
func (v *Validation) fits(r *Runnable) (scored, error) {
	c, b := r.Model.Contract, v.Bundle
	refuse := func(cause, fix string) (scored, error) {
		return scored{}, fault.New(fault.Input, "validating", r.Name, cause, fix)
	}
	if c.Vocab > 0 && c.Vocab != b.Vocab {
		return refuse(fmt.Sprintf("it has a vocabulary of %d tokens, the reference one of %d", c.Vocab, b.Vocab), "validate it against the model that it was made of")
	}
	if want := b.Settings["layers"]; want != "" && c.Layers > 0 && want != fmt.Sprint(c.Layers) {
		return refuse(fmt.Sprintf("it has %d layers, the reference %s", c.Layers, want), "validate it against the model that it was made of")
	}
	most := c.MaxPositions
	if n := int(c.Capacity()); n > 0 {
		most = n
	}
	if n := b.Convention.Length; most > 0 && n-1 > most {
		return scored{}, fault.New(fault.Usage, "validating", r.Name, fmt.Sprintf("a window of %d tokens is longer than its %d positions", n, most), "choose a smaller window")
	}
	return v.shapes(r)
}

// Unseen refuses the text that the engine's ranges were calibrated on, as class usage,
// and its beginning.
func (v *Validation) Unseen(r *Runnable) error {
	text, err := CalibratedOn(r)
	if err == nil && text != "" && (text == v.Text || text == validate.IDsDigest(v.IDs)) {
		err = fault.New(fault.Usage, "validating", r.Name, "the text is the one that its ranges were calibrated on, sha256 "+short(text), "validate on another text")
	}
	return err
}

// CalibratedOn is the digest of the token ids that an engine's ranges come from,
// by the table beside it; "" where there is none.
func CalibratedOn(r *Runnable) (string, error) {
	path := filepath.Join(r.Dir, quant.TableFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	t, err := calib.Read(f, path)
	if err != nil {
		return "", err
	}
	return t.Text, nil
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// Engine measures one engine on both paths.
func (v *Validation) Engine(ctx context.Context, r *Runnable, p progress.Counter) ([]rows.Row, error) {
	in, err := v.fits(r)
	if err := errors.Join(err, v.Unseen(r)); err != nil {
		return nil, err
	}
	var all []rows.Row
	for _, phase := range phases {
		s, err := v.score(ctx, r, phase, in, named{p, phase})
		if err != nil {
			return nil, err
		}
		part, err := validate.Compare(s, validate.Options{Engine: r.Name, Seed: v.Seed})
		if err != nil {
			return nil, err
		}
		if s.NonFinite > 0 {
			v.locate(ctx, r, s, part, named{p, phase})
		}
		all = append(all, part...)
	}
	extra, err := v.itself(ctx, r, p)
	return append(all, extra...), err
}

// score runs the text through an engine, with PyTorch beside it where it is live.
func (v *Validation) score(ctx context.Context, of *Runnable, phase string, in scored, p progress.Counter) (*validate.Score, error) {
	r := jobs.ScoreRequest{Model: of.Model, IDs: v.IDs, Convention: v.Bundle.Convention, Phase: phase, Windows: v.Windows, Batch: in.batch, Prompt: in.prompt}
	if v.Live == nil {
		r.Bundle = v.Dir
		return jobs.Score(ctx, v.ORT, r, p)
	}
	pipe, closePipe, err := fifo(v.Temp)
	if err != nil {
		return nil, err
	}
	defer closePipe()
	r.Pipe, r.Batch = pipe, jobs.Batch(r.Contract, r.Convention, r.Batch)
	stream, err := v.stream(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(stream.IDs) }()
	pytorch, err := v.Live(ctx)
	if err != nil {
		return nil, err
	}
	var s *validate.Score
	err = together(ctx,
		func(ctx context.Context) error { return worker.Stream(ctx, pytorch, stream, progress.Noop) },
		func(ctx context.Context) (err error) {
			s, err = jobs.Score(ctx, v.ORT, r, p)
			return err
		})
	return s, err
}

// together runs the two ends of a pipe. Who fails first ends the other, which may
// be waiting at it, and is the one that is told of.
func together(ctx context.Context, a, b func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	for _, end := range []func(context.Context) error{a, b} {
		go func() { ended <- end(ctx) }()
	}
	first := <-ended
	if first != nil {
		cancel()
	}
	second := <-ended
	if first != nil {
		return first
	}
	return second
}

// stream is what PyTorch is asked for beside the engine.
func (v *Validation) stream(r jobs.ScoreRequest) (worker.StreamRequest, error) {
	ids, err := writeIDs(v.Temp, v.IDs)
	if err != nil {
		return worker.StreamRequest{}, err
	}
	windows := r.Convention.Count(len(v.IDs))
	if v.Windows > 0 {
		windows = min(windows, v.Windows)
	}
	s := worker.StreamRequest{
		Scored: worker.Scored{Model: v.Model, IDs: ids, Convention: r.Convention.String(), Threads: v.Threads},
		Pipe:   r.Pipe, Groups: jobs.Groups(r.Convention, len(v.IDs), windows, r.Batch),
	}
	if r.Phase == jobs.Decode {
		s.Prompt = max(r.Prompt, 1)
	}
	return s, nil
}

// fifo makes a pipe with a name in dir. It is held open here, so that neither end
// waits for the other to come.
func fifo(dir string) (path string, closePipe func(), err error) {
	path = filepath.Join(dir, fsx.TempPrefix+"logits")
	_ = os.Remove(path) // of a score before
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return "", nil, fsx.Explain("making the pipe", path, err)
	}
	held, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", nil, fsx.Explain("opening the pipe", path, err)
	}
	return path, func() { _, _ = held.Close(), os.Remove(path) }, nil
}

// writeIDs leaves token ids where a worker reads them.
func writeIDs(dir string, ids []int) (path string, err error) {
	path = filepath.Join(dir, fsx.TempPrefix+"ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o600); err != nil {
		return "", fsx.Explain("writing", path, err)
	}
	return path, nil
}

// locate adds to the row of what is not finite which node makes the first of it.
// That is for people: where it cannot be told, the figure stands without.
func (v *Validation) locate(ctx context.Context, r *Runnable, s *validate.Score, of []rows.Row, p progress.Counter) {
	i := slices.IndexFunc(of, func(r rows.Row) bool { return r.Name == validate.NonFinite })
	where := fmt.Sprintf("first in window %d at position %d", s.Bad.Window, s.Bad.Position)
	if strings.HasSuffix(r.Model.Path, ".onnx") {
		p.Note("looking for the first node that is not finite")
		w := s.Convention.Windows(v.IDs)[s.Bad.Window]
		o, err := jobs.Locate(ctx, v.ORT, jobs.NewLocate(r.Model, s.Phase, w, s.Bad.Position, v.Temp), progress.Noop)
		switch {
		case err != nil:
			where += fmt.Sprintf("; its node was not found: %v", err)
		case o != nil:
			where += ": " + o.String()
		}
	}
	of[i].Warnings = append(slices.Clip(of[i].Warnings), where)
}

// itself measures what needs no score: greedy continuations, and whether a row's
// neighbours or padding change it.
func (v *Validation) itself(ctx context.Context, r *Runnable, p progress.Counter) (all []rows.Row, err error) {
	if len(r.Model.Contract.Outputs) < 2 { // without a cache nothing is decoded
		return nil, nil
	}
	if g := v.Bundle.Greedy; g != nil && len(gapsOf(r, asks(1, g.PromptTokens, g.NewTokens-1))) == 0 {
		p.Note("greedy")
		request, err := jobs.NewGreedy(r.Model, v.IDs, *g)
		if err != nil {
			return nil, err
		}
		lengths, err := jobs.Greedy(ctx, v.ORT, request, progress.Noop)
		if err != nil {
			return nil, err
		}
		all = append(all, validate.GreedyRow(r.Name, lengths, g.NewTokens))
	}
	asked, err := v.invariance(r)
	if err != nil || asked == nil {
		return all, err
	}
	p.Note("batch and padding")
	i, err := jobs.Invariance(ctx, v.ORT, *asked, progress.Noop)
	if err != nil {
		return nil, err
	}
	return append(all, i.Rows(r.Name)...), nil
}

// named puts what is being done in front of each note.
type named struct {
	progress.Counter
	what string
}

func (n named) Note(text string) { n.Counter.Note(n.what + " " + text) }
