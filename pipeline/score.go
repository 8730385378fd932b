package pipeline

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
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
	v := &task.Validation{IDs: ids, Bundle: bundle, Dir: j.reference.dir, Seed: j.config.Run.Seed, Temp: dir}
	r, err := j.runnable(e)
	if err != nil {
		return err
	}
	if e.Backend == "ortcpu" {
		v.ORT, err = j.client(ctx)
	} else {
		timeout, memory := j.limits(0)
		own := &task.Processes{Runtimes: j.options.Runtimes, Log: func(name string) (io.Writer, error) { return j.log("validate-" + name) }, Timeout: timeout, Memory: memory}
		defer func() { _ = own.Close() }()
		r, v.ORT, err = own.Own(ctx, r)
	}
	if err != nil {
		return err
	}
	all, err := v.Engine(ctx, r, p)
	var why task.NoRoom
	if errors.As(err, &why) { // that its times are there is worth the run
		return errors.Join(rows.WriteFile(filepath.Join(dir, rowsFile), j.options.CreatedBy, nil), os.WriteFile(filepath.Join(dir, idleFile), []byte(why), 0o644))
	}
	if err != nil {
		return err
	}
	if len(validate.Flaws(all, r.Name)) == 0 { // what is broken is no measure of noise
		all = append(all, task.Floor(r, all)...)
	}
	return rows.WriteFile(filepath.Join(dir, rowsFile), j.options.CreatedBy, all)
}

// idleFile is why an engine was not scored, beside the rows that are then none.
const idleFile = "idle.txt"
