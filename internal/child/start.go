package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
)

// Start starts a process and waits until it is ready for jobs. ctx bounds the
// start only; each call has its own. A program that cannot be executed is
// fault.Missing; one that refuses to get ready gives its own reason.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	if ctx.Err() != nil {
		return nil, cancelled(ctx).cause
	}
	c, err := launch(spec.withDefaults())
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { c.end(cancelled(ctx)) })()
	defer after(c.spec.Start, func() { c.end(late(c.spec.Start)) })()
	select {
	case <-c.ready:
		return c, nil
	case <-c.gone:
	}
	c.mu.Lock()
	refusal := c.refusal
	c.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	return nil, c.death("")
}

// launch starts the process and the goroutines that serve it, which end with it.
func launch(spec Spec) (*Child, error) {
	p, err := openPipes()
	if err != nil {
		return nil, fault.Wrap(fault.Runtime, "starting process", spec.Name, err, "close other programs: the system is out of file descriptors")
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir = spec.Dir
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.theirs[0], p.theirs[1], p.theirs[2]
	cmd.ExtraFiles = []*os.File{p.theirs[3]}
	// A halted child goes on when this process dies, reads the end of its input and ends.
	// The kernel wakes orphaned groups too, but not one whose threads are still stopping.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGCONT}
	err = cmd.Start()
	closeAll(p.theirs[:])
	if err != nil {
		closeAll(p.ours[:])
		return nil, unstartable(spec, err)
	}
	c := &Child{
		spec: spec, cmd: cmd, in: p.ours[0], tensors: p.ours[3], begun: time.Now(),
		stderr: newCapture(spec.Log, logHalf),
		turn:   make(chan struct{}, 1),
		ready:  make(chan struct{}), exited: make(chan struct{}), gone: make(chan struct{}),
	}
	var readers sync.WaitGroup
	readers.Go(func() { c.listen(p.ours[1]) })
	readers.Go(func() { _, _ = io.Copy(c.stderr, p.ours[2]) })
	readers.Go(c.watch)
	go c.reap(&readers, p.ours)
	return c, nil
}

func unstartable(spec Spec, err error) error {
	code := fault.Runtime
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		code = fault.Missing
	}
	return fault.Wrap(code, "starting process", spec.Name, err, "check that "+spec.Path+" exists and can be executed")
}

// pipes are the four descriptors of a child, both ends.
type pipes struct{ ours, theirs [4]*os.File }

func openPipes() (p pipes, err error) {
	defer func() {
		if err != nil {
			closeAll(p.ours[:])
			closeAll(p.theirs[:])
		}
	}()
	if p.theirs[0], p.ours[0], err = os.Pipe(); err != nil {
		return p, err
	}
	if p.ours[1], p.theirs[1], err = os.Pipe(); err != nil {
		return p, err
	}
	if p.ours[2], p.theirs[2], err = os.Pipe(); err != nil {
		return p, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return p, fmt.Errorf("making a socket pair: %w", err)
	}
	// Only our end is non-blocking, so that closing it wakes its reader.
	err = unix.SetNonblock(pair[0], true)
	p.ours[3], p.theirs[3] = os.NewFile(uintptr(pair[0]), "tensors"), os.NewFile(uintptr(pair[1]), "tensors")
	return p, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// reap waits for the end of the process, kills what is left of its group while
// its id cannot yet belong to another, and releases everything.
func (c *Child) reap(readers *sync.WaitGroup, ours [4]*os.File) {
	waitable(c.PID())
	c.signal(unix.SIGKILL)
	c.mu.Lock()
	_ = c.cmd.Wait() // the state is kept in cmd.ProcessState
	c.reaped = true
	close(c.exited)
	c.mu.Unlock()
	// A descendant that left the group may hold the pipes open: what the child
	// itself wrote is there already.
	for _, f := range ours[1:] {
		_ = f.SetReadDeadline(time.Now().Add(time.Second))
	}
	readers.Wait()
	closeAll(ours[:])
	err := c.stderr.finish()
	c.mu.Lock()
	c.logErr = err
	c.mu.Unlock()
	close(c.gone)
}

// waitable blocks until the process has ended, without collecting it.
func waitable(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// listen takes the child's frames until its stdout ends.
func (c *Child) listen(stdout *os.File) {
	r := bufio.NewReaderSize(&hearing{stdout, c}, 64<<10)
	for {
		m, err := readMessage(r)
		if err == nil {
			err = c.take(m)
		}
		if err == nil {
			continue
		}
		var garbage *framingError
		if errors.As(err, &garbage) {
			c.end(ending{what: "broke the rules of the pipe: " + garbage.what,
				fix: "reinstall the runtime: a library may print to standard output"})
			return
		}
		c.endUnlessExited(closedPipe())
		return
	}
}

// hearing notes when bytes arrive.
type hearing struct {
	r io.Reader
	c *Child
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if n > 0 {
		h.c.hear()
	}
	return n, err
}

func (c *Child) hear() { c.heard.Store(int64(time.Since(c.begun))) }

// take acts on one frame. Frames of unknown types are left to newer parents.
func (c *Child) take(m *message) error {
	c.mu.Lock()
	greeted := c.hello != nil
	if !greeted && m.Type == "hello" {
		c.hello = m
	}
	job := c.job
	c.mu.Unlock()
	if !greeted {
		if m.Type != "hello" || m.Protocol != protocol {
			return &framingError{fmt.Sprintf("it began with a %q frame of protocol %d instead of hello of protocol %d", m.Type, m.Protocol, protocol)}
		}
		return nil
	}
	mine := job != nil && m.ID == job.id
	switch m.Type {
	case "ready":
		return c.markReady(m)
	case "progress":
		if mine {
			job.meter.report(m)
		}
	case "result", "error":
		tensors, err := readTensors(&hearing{c.tensors, c}, m.Tensors)
		if err != nil {
			return err
		}
		if mine {
			c.answer(job, reply{m, tensors})
		} else if m.ID == 0 && m.Type == "error" {
			c.refuse(m)
		}
	}
	return nil
}

// answer hands over a job's reply; a second one to the same job is dropped.
func (c *Child) answer(job *running, r reply) {
	select {
	case job.reply <- r:
	default:
	}
}

func (c *Child) markReady(m *message) error {
	select {
	case <-c.ready:
		return &framingError{"it said ready twice"}
	default:
	}
	c.mu.Lock()
	c.facts = m.Facts
	c.mu.Unlock()
	close(c.ready)
	return nil
}

// refuse notes why the child cannot serve; it is about to exit.
func (c *Child) refuse(m *message) {
	c.mu.Lock()
	if c.refusal == nil {
		c.refusal = m.fault("", c.spec.Name)
	}
	c.mu.Unlock()
	c.end(ending{what: "refused to start: " + m.Cause, fix: m.Fix})
}
