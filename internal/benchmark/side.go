package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// side is one of the two programs of a comparison: a process of its own that
// answers each line "run" on standard input with the milliseconds that one
// repetition took, and perhaps a space and the MB that it took at most, and that
// is stopped while the other works.
type side struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	peak float64 // the largest memory in MB that it told; 0 where it tells none
}

// start runs a side up to its line "ready".
func start(name string, argv []string, env ...string) (*side, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s := &side{name: name, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if line, err := s.read(); err != nil || line != "ready" {
		s.close()
		return nil, fmt.Errorf("starting %s: it said %q, %w", name, line, err)
	}
	return s, nil
}

func (s *side) read() (string, error) {
	if !s.out.Scan() {
		return "", fmt.Errorf("%s ended: %w", s.name, io.ErrUnexpectedEOF)
	}
	return strings.TrimSpace(s.out.Text()), nil
}

// run is the milliseconds of one repetition.
func (s *side) run() (float64, error) {
	if _, err := io.WriteString(s.in, "run\n"); err != nil {
		return 0, fmt.Errorf("asking %s: %w", s.name, err)
	}
	line, err := s.read()
	if err != nil {
		return 0, err
	}
	time, memory, both := strings.Cut(line, " ")
	ms, err := strconv.ParseFloat(time, 64)
	if both && err == nil {
		var mb float64
		mb, err = strconv.ParseFloat(memory, 64)
		s.peak = max(s.peak, mb)
	}
	if err != nil {
		return 0, fmt.Errorf("%s answered %q: %w", s.name, line, err)
	}
	return ms, nil
}

func (s *side) stop() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGSTOP) }
func (s *side) cont() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGCONT) }

func (s *side) close() {
	_ = s.in.Close()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait()
}
