package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// runPip runs the pip of one Python inside another, as `pip --python` does but in
// one process, so that killing it kills all there is. Its directory leaves the
// path again at once, or pip would see that Python's packages as installed.
const runPip = `import sys; sys.path.insert(0, sys.argv.pop(1)); import pip; sys.path.pop(0)
import runpy; runpy.run_module("pip", run_name="__main__", alter_sys=True)`

// cache is where pip keeps finished downloads until the installation succeeds,
// so that an interrupted one need not fetch gigabytes again.
func (j job) cache() string { return j.dir + ".wheels" }

// pip runs `pip VERB` on the lock, every wheel checked against its hash.
func (j job) pip(ctx context.Context, python string, log io.Writer, verb string, args ...string) error {
	file := filepath.Join(j.dir, "tmp", "lock.txt")
	if err := os.WriteFile(file, []byte(j.lock.Text), 0o644); err != nil {
		return fsx.Explain("writing", file, err)
	}
	args = append([]string{verb, "--require-hashes", "--no-deps", "--requirement", file}, args...)
	return j.runPip(ctx, python, log, args)
}

// pipLoose installs PyTorch from another index and everything else from where
// pip is configured to look, at the lock's versions but without its hashes.
func (j job) pipLoose(ctx context.Context, python string, log io.Writer) error {
	j.o.say("%s: another index has other builds, so hashes are not checked; versions still are", j.spec.Name)
	torch := "torch==" + j.lock.Versions["torch"]
	if err := j.runPip(ctx, python, log, []string{"install", "--no-deps", "--index-url", j.o.IndexURL, torch}); err != nil {
		return err
	}
	file := filepath.Join(j.dir, "tmp", "constraints.txt")
	if err := os.WriteFile(file, []byte(j.lock.loose()), 0o644); err != nil {
		return fsx.Explain("writing", file, err)
	}
	args := []string{"install", "--extra-index-url", j.o.IndexURL, "--constraint", file}
	for _, name := range j.spec.asked {
		args = append(args, name+"=="+j.lock.Versions[name])
	}
	return j.runPip(ctx, python, log, args)
}

func (j job) runPip(ctx context.Context, python string, log io.Writer, args []string) error {
	args = append([]string{"-c", runPip, j.py.Pip}, args...)
	args = append(args, "--only-binary=:all:")
	for _, dir := range j.o.FindLinks {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fsx.Explain("finding", dir, err)
		}
		if info, err := os.Stat(abs); err != nil || !info.IsDir() {
			return fault.New(fault.Usage, "using the wheels in", dir, "there is no such directory", "name a directory of wheels with --find-links")
		}
		args = append(args, "--find-links", abs)
	}
	if j.o.Offline {
		args = append(args, "--no-index")
	}
	env := []string{"TMPDIR=" + filepath.Join(j.dir, "tmp")}
	if os.Getenv("PIP_CACHE_DIR") == "" && os.Getenv("PIP_NO_CACHE_DIR") == "" {
		env = append(env, "PIP_CACHE_DIR="+j.cache())
	}
	stop := j.watch(filepath.Dir(filepath.Dir(python)))
	defer stop()
	_, err := process{path: python, args: args, env: env, log: log, line: j.note}.run(ctx)
	return j.explain(ctx, err)
}

// note shows what pip says it is doing.
func (j job) note(line string) {
	words := strings.Fields(line)
	switch {
	case len(words) > 3 && words[0] == "Downloading":
		wheel, _, _ := strings.Cut(filepath.Base(words[1]), "-")
		j.o.Progress.Note("downloading " + wheel + " " + strings.Trim(strings.Join(words[2:], " "), "()"))
	case strings.HasPrefix(line, "Installing"):
		j.o.Progress.Note("unpacking")
	}
}

// watch counts finished work: bytes that have reached the directory's file
// system cannot be told from other people's, so it counts installed packages.
func (j job) watch(prefix string) (stop func()) {
	j.o.Progress.SetMax(int64(len(j.lock.Versions)))
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3.*", "site-packages", "*.dist-info"))
				j.o.Progress.Set(int64(len(found)))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// signs tells, from what pip printed, what kind of failure it was.
var signs = []struct {
	code fault.Code
	any  []string
}{
	{fault.Runtime, []string{"No space left on device", "Disk quota exceeded"}},
	{fault.Input, []string{"DO NOT MATCH THE HASHES", "BadZipFile", "is not a valid wheel", "has an invalid wheel"}},
	{fault.Missing, []string{"No matching distribution", "Could not find a version", "NewConnectionError", "ConnectionError", "Connection to ",
		"Name or service not known", "name resolution", "Network is unreachable", "ReadTimeout", "timed out", "ProxyError", "SSLError", "Max retries exceeded"}},
}

// explain gives pip's failure its class and its remedy.
func (j job) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("installing %s: %w", j.spec.Name, context.Cause(ctx))
	}
	code, tail := fault.Runtime, err.Error()
	var child *childError
	if errors.As(err, &child) {
		tail = child.tail
	}
	for _, s := range signs {
		for _, text := range s.any {
			if strings.Contains(tail, text) {
				return fault.Wrap(s.code, "installing", j.spec.Name, err, j.remedy(s.code))
			}
		}
	}
	return fault.Wrap(code, "installing", j.spec.Name, err, "read "+j.dir+".log, and repeat")
}

func (j job) remedy(code fault.Code) string {
	switch code {
	case fault.Missing:
		n := j.spec.Name
		return fmt.Sprintf("check the network, or bring the wheels: where there is one, `trtforge setup %s --print-lock > %s.txt` and "+
			"`python3.%d -m pip download --no-deps --require-hashes -r %s.txt -d wheels`; here, `trtforge setup %s --offline --find-links wheels`",
			n, n, j.py.Version[1], n, n)
	case fault.Input:
		return "the wheel is not the one that was locked: remove it from the wheelhouse or mirror, and get it again"
	}
	return "free some space, or set TRTFORGE_HOME to a directory on another disk"
}
