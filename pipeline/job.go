package pipeline

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// job is one run of a pipeline: its stages, and the processes that they share.
// Each runtime has one process, started by the first stage that needs it.
type job struct {
	config  *Config
	options Options
	threads int // that sessions use: the file's, or what the cgroup grants
	stages  []*stage
	steps   []Step

	export, plan, reference, bench *stage
	models                         map[quant.Precision]*stage // typed graphs by how they are made
	engines                        []*engineStage
	graphs                         map[string]string         // their digests, by the key of the stage that made them
	local                          map[string]engine.Builder // of this machine's GPU, by backend
	lacks                          map[string]string         // what it lacks for one, by backend

	tokenizer *bpe.Tokenizer
	texts     map[string][]int
	ort       *ort.Client
	workers   map[worker.Kind]*child.Child
	logs      []io.Closer
}

// engineStage is an engine of the pipeline with the stages about it.
type engineStage struct {
	EngineConfig
	build, validate *stage
	lacks           string // what this machine lacks to build it; "" nothing
	idle            string // why it is not measured here; "" where it is
}

// newJob lays out the stages of a pipeline; it starts nothing.
func newJob(c *Config, o Options) (*job, error) {
	j := &job{config: c, options: o, models: map[quant.Precision]*stage{}, graphs: map[string]string{}, local: map[string]engine.Builder{}, lacks: map[string]string{}, texts: map[string][]int{}, workers: map[worker.Kind]*child.Child{}}
	if j.threads = c.Run.Threads; j.threads == 0 {
		j.threads = ort.Threads()
	}
	tokenizer, err := bpe.Load(c.Model.Path)
	if err != nil {
		return nil, err
	}
	j.tokenizer = tokenizer
	if err := j.layOut(); err != nil {
		return nil, err
	}
	return j, nil
}

// add puts a stage at the end.
func (j *job) add(s *stage) *stage {
	s.dir = filepath.Join(j.config.Output.Dir, "stages", filepath.FromSlash(s.name))
	j.stages = append(j.stages, s)
	return s
}

// ids are the tokens of a text file.
func (j *job) ids(path string) ([]int, error) {
	if ids, known := j.texts[path]; known {
		return ids, nil
	}
	ids, err := task.Tokens(j.tokenizer, path)
	if err != nil {
		return nil, err
	}
	j.texts[path] = ids
	return ids, nil
}

// text is a file's tokens, to be compared with those of another.
func (j *job) text(path string) (calib.Text, error) {
	ids, err := j.ids(path)
	return task.TextOf(j.tokenizer, path, ids), err
}

// client is the ONNX Runtime child.
func (j *job) client(ctx context.Context) (*ort.Client, error) {
	if j.ort != nil {
		return j.ort, nil
	}
	r, err := j.options.Runtimes.Get(ctx, "ort")
	if err != nil {
		return nil, err
	}
	log, err := j.log("ort")
	if err != nil {
		return nil, err
	}
	timeout, memory := j.limits(0)
	j.ort = &ort.Client{Library: r.Library, Log: log, Run: timeout, Memory: memory}
	return j.ort, nil
}

// worker is the Python worker of that kind.
func (j *job) worker(ctx context.Context, kind worker.Kind) (*child.Child, error) {
	if c := j.workers[kind]; c != nil && c.Alive() {
		return c, nil
	}
	r, err := j.options.Runtimes.Get(ctx, string(kind))
	if err != nil {
		return nil, err
	}
	log, err := j.log(string(kind))
	if err != nil {
		return nil, err
	}
	timeout, memory := j.limits(longJob)
	c, err := worker.Start(ctx, kind, worker.Options{Python: r.Python, Log: log, Run: timeout, Memory: memory})
	if err != nil {
		return nil, err
	}
	j.workers[kind] = c
	return c, nil
}

// longJob is the limit of a build, and of PyTorch's pass over a text.
const longJob = 30 * time.Minute

// limits are what the file sets, else a time limit; zero leaves the default.
func (j *job) limits(otherwise time.Duration) (timeout time.Duration, memory int64) {
	timeout, _ = j.config.Run.timeout() // checked by Load
	memory, _ = j.config.Run.memory()
	if timeout == 0 {
		timeout = otherwise
	}
	return timeout, memory
}

// log is the file that keeps what a child prints.
func (j *job) log(name string) (io.Writer, error) {
	dir := filepath.Join(j.config.Output.Dir, "logs")
	if err := fsx.MkdirAll(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".log")
	f, err := os.Create(path)
	if err != nil {
		return nil, fsx.Explain("writing log", path, err)
	}
	j.logs = append(j.logs, f)
	return f, nil
}

// close ends the children.
func (j *job) close() {
	var errs []error
	if j.ort != nil {
		errs = append(errs, j.ort.Close())
	}
	for _, c := range j.workers {
		errs = append(errs, c.Close())
	}
	for _, l := range j.logs {
		errs = append(errs, l.Close())
	}
	if err := errors.Join(errs...); err != nil {
		j.options.Log.Debug("closing children", "error", err)
	}
}

// tokenizerDigest identifies the files that token ids depend on.
func (j *job) tokenizerDigest() (string, error) {
	return validate.FilesDigest(bpe.Files(j.config.Model.Path)...)
}
