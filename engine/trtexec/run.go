package trtexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles/explain"
)

// maxLog is what is kept of a tool's output: builders have been seen to print a
// gigabyte.
const maxLog = 64 << 20

// grace is how long a tool has to end by itself once it is asked to.
const grace = 5 * time.Second

// run runs the tool in a process group of its own, which ends with ctx, and keeps
// its output in dir.
func (t Tool) run(ctx context.Context, r engine.Request, args []string, dir string) (err error) {
	path := filepath.Join(dir, logFile)
	log, err := os.Create(path)
	if err != nil {
		return fsx.Explain("writing log", path, err)
	}
	defer func() { err = errors.Join(err, fsx.Explain("writing log", path, log.Close())) }()
	cmd := exec.Command(t.Path, args...)
	kept := &capped{w: log, left: maxLog}
	cmd.Stdout, cmd.Stderr = kept, kept
	cmd.WaitDelay = grace // for what a wrapper leaves, which keeps the output open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fault.Wrap(fault.Missing, "starting", t.Path, err, "check that it can be run")
	}
	var failure error // once ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = cmd.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		end(cmd, ended)
		return fmt.Errorf("building %s: %w", r.Name, context.Cause(ctx))
	}
	if failure != nil && !errors.Is(failure, exec.ErrWaitDelay) { // which says that it ended well
		return t.failed(r, args, path, failure)
	}
	return nil
}

// end asks the process group to end, and kills what is left of it.
func end(cmd *exec.Cmd, ended <-chan struct{}) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(grace):
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended // it writes into a directory that is removed next
}

// failed is what the log says of a failure. The log itself goes with the half
// engine, so what no pattern knows is left to be seen again.
func (t Tool) failed(r engine.Request, args []string, path string, err error) error {
	cause, fix := tail(path), "see it all: "+t.Path+" "+strings.Join(args, " ")
	f, opened := os.Open(path)
	if opened == nil {
		defer func() { _ = f.Close() }()
		report, read := explain.Read(f, explain.Context{Contract: r.Contract, Profiles: r.Plan.Profiles, Log: path, Syntax: "trtexec"})
		if read == nil && report.Root() != nil {
			root := report.Root()
			cause, fix = fmt.Sprintf("%s (line %d of its log: %s)", root.Cause, root.Evidence.Line, root.Evidence.Text), root.Fix
		}
	}
	return fault.Wrap(fault.Runtime, "building", r.Name, fmt.Errorf("trtexec %s: %w: %s", t.Version(), err, cause), fix)
}

// lastWords is how much of a log stands in an error.
const lastWords = 500

// tail is the end of a log.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "it left no log"
	}
	defer func() { _ = f.Close() }()
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size > lastWords {
		_, _ = f.Seek(-lastWords, io.SeekEnd)
	} else {
		_, _ = f.Seek(0, io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return strings.TrimSpace(string(b))
}

// capped keeps the first bytes of a stream and takes the rest without a word, so
// that the tool is never stopped by it.
type capped struct {
	w    io.Writer
	left int64
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(int64(len(p)), c.left)
	c.left -= n
	if n > 0 {
		if _, err := c.w.Write(p[:n]); err != nil {
			c.left = 0 // a full disk loses the log, not the build
		}
	}
	return len(p), nil
}
