package pipeline

import (
	"context"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/validate"
)

// runValidate holds one engine to the reference, by prefill and by cached decode:
// an error in the cache shows in the second only.
func (j *job) runValidate(ctx context.Context, e *engineStage, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	bundle, err := validate.Read(j.reference.dir)
	if err != nil {
		return err
	}
	defer func() { _ = bundle.Close() }()
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	v := &Validation{IDs: ids, Bundle: bundle, Dir: j.reference.dir, Seed: j.config.Run.Seed, Temp: dir, ORT: client}
	r := &Runnable{Name: e.Name(), Backend: e.Backend, Precision: e.Precision, Dir: e.build.dir}
	if r.Model, err = j.engineModel(e); err != nil {
		return err
	}
	all, err := v.Engine(ctx, r, p)
	if err != nil {
		return err
	}
	if len(validate.Flaws(all, r.Name)) == 0 { // what is broken is no measure of noise
		all = append(all, Floor(r, all)...)
	}
	return writeRows(filepath.Join(dir, rowsFile), j.options.CreatedBy, all)
}

// named puts what is being done in front of each note.
type named struct {
	progress.Counter
	what string
}

func (n named) Note(text string) { n.Counter.Note(n.what + " " + text) }
