package pipeline

import (
	"context"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// runValidate scores the text through one engine, by prefill and by cached
// decode: an error in the cache shows in the second only.
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
	model, err := j.engineModel(e)
	if err != nil {
		return err
	}
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	var all []rows.Row
	for _, phase := range []string{jobs.Prefill, jobs.Decode} {
		score, err := jobs.Score(ctx, client, jobs.ScoreRequest{
			Model: model, IDs: ids, Convention: bundle.Convention, Bundle: j.reference.dir, Phase: phase,
		}, named{p, phase})
		if err != nil {
			return err
		}
		r, err := validate.Compare(score, validate.Options{Engine: e.Name(), Seed: j.config.Run.Seed})
		if err != nil {
			return err
		}
		all = append(all, r...)
	}
	return writeRows(filepath.Join(dir, rowsFile), j.options.CreatedBy, all)
}

// named puts what is being done in front of each note.
type named struct {
	progress.Counter
	what string
}

func (n named) Note(text string) { n.Counter.Note(n.what + " " + text) }
