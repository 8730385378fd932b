package child

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// TestMain lets the test binary be the child, or a parent to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "__child" {
		os.Exit(testChild(os.Args[2]))
	}
	os.Exit(m.Run())
}

// testChild is a child that misbehaves as mode says.
func testChild(mode string) int {
	switch mode {
	case "good", "silent start":
		if mode == "silent start" {
			time.Sleep(time.Minute)
		}
		return Server{Name: "test", Jobs: testJobs, Prepare: func() (any, error) { return map[string]string{"library": "1.2.3"}, nil }}.Run()
	case "refuses":
		return Server{Prepare: func() (any, error) {
			return nil, fault.New(fault.Missing, "loading", "libthing.so", "no such library", "install it")
		}}.Run()
	case "garbage":
		fmt.Println("Hello, this is a banner that a library prints.")
		time.Sleep(time.Minute)
	case "not hello":
		_ = writeMessage(os.Stdout, &message{Type: "ready"})
		time.Sleep(time.Minute)
	case "exits":
		fmt.Fprintln(os.Stderr, "cannot find my configuration")
		return 7
	case "parent":
		return testParent()
	case "parent that stops":
		return stoppingParent()
	}
	return 9
}

// testParent starts a child, prints both ids and waits to be killed.
func testParent() int {
	c, err := Start(context.Background(), self("good"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var grandchild int
	if err := c.Call(context.Background(), "grandchild", nil, &grandchild, nil); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.PID(), grandchild)
	_ = c.Call(context.Background(), "sleep", nil, nil, nil)
	return 0
}

// stoppingParent starts a child, halts it and waits to be killed.
func stoppingParent() int {
	c, err := Start(context.Background(), self("good"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c.Stop()
	fmt.Println(c.PID(), os.Getpid())
	time.Sleep(time.Minute)
	return 0
}

var testJobs = map[string]Job{
	"echo": func(_ context.Context, call *Call) (any, error) {
		call.Reply(call.Tensors...)
		fmt.Println("printed to stdout by a library")
		return call.Request, nil
	},
	"sleep": func(context.Context, *Call) (any, error) {
		time.Sleep(time.Minute)
		return nil, nil
	},
	"fault": func(context.Context, *Call) (any, error) {
		return nil, fault.New(fault.Input, "reading", "x.onnx", "it is torn", "export it again")
	},
	"wrapped": func(context.Context, *Call) (any, error) {
		return nil, fmt.Errorf("scoring: %w", fault.New(fault.Usage, "cutting", "text", "too short", "give more"))
	},
	"progress": func(_ context.Context, call *Call) (any, error) {
		call.Progress.SetMax(3)
		layer := call.Progress.Sub("layers").Sub("first")
		layer.SetMax(10)
		layer.Note("reading")
		layer.Set(10)
		call.Progress.Set(3)
		return nil, nil
	},
	"kill": func(context.Context, *Call) (any, error) {
		return signalSelf(syscall.SIGKILL)
	},
	"stop": func(context.Context, *Call) (any, error) {
		return signalSelf(syscall.SIGSTOP)
	},
	"segfault": func(context.Context, *Call) (any, error) {
		fmt.Fprintln(os.Stderr, "\x1b[31mabout to crash\x1b[0m")
		return signalSelf(syscall.SIGSEGV)
	},
	"panic": func(context.Context, *Call) (any, error) { panic("bug in a job") },
	"exit":  func(context.Context, *Call) (any, error) { os.Exit(0); return nil, nil },
	"close pipe": func(context.Context, *Call) (any, error) {
		for fd := 3; fd < 64; fd++ {
			if isPipe(fd) {
				_ = unix.Close(fd)
			}
		}
		time.Sleep(time.Minute)
		return nil, nil
	},
	"garbage":   func(context.Context, *Call) (any, error) { return writeRaw([]byte("\x0c\x00\x00\x00not JSON....")) },
	"oversized": func(context.Context, *Call) (any, error) { return writeRaw([]byte("\xff\xff\xff\xff{")) },
	"torn": func(context.Context, *Call) (any, error) {
		_, _ = writeRaw([]byte("\xff\x00\x00\x00{"))
		os.Exit(0)
		return nil, nil
	},
	"memory": func(context.Context, *Call) (any, error) {
		var hoard [][]byte
		for range 400 {
			b := make([]byte, 10<<20)
			for i := range b {
				b[i] = 1
			}
			hoard = append(hoard, b)
			time.Sleep(20 * time.Millisecond)
		}
		return len(hoard), nil
	},
	"grandchild": func(context.Context, *Call) (any, error) {
		cmd := exec.Command("sleep", "60")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return cmd.Process.Pid, nil
	},
	"ignore": func(_ context.Context, _ *Call) (any, error) { return "not a number", nil },
	"stubborn": func(context.Context, *Call) (any, error) {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Minute)
		return nil, nil
	},
}

// signalSelf does not return before the signal has had its effect.
func signalSelf(s syscall.Signal) (any, error) {
	err := syscall.Kill(os.Getpid(), s)
	time.Sleep(time.Minute)
	return nil, err
}

func isPipe(fd int) bool {
	var s unix.Stat_t
	return unix.Fstat(fd, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFIFO
}

// writeRaw writes bytes to the parent past the framing: the saved stdout is
// the pipe above stderr that can be written to.
func writeRaw(b []byte) (any, error) {
	for fd := 3; fd < 64; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || !isPipe(fd) || flags&unix.O_ACCMODE != unix.O_WRONLY {
			continue
		}
		_, err = unix.Write(fd, b)
		return nil, err
	}
	return nil, fmt.Errorf("no pipe to write to")
}

// self is a Spec that runs this test binary as a child.
func self(mode string) Spec {
	return Spec{Name: "test", Path: os.Args[0], Args: []string{"__child", mode}, Grace: 300 * time.Millisecond}
}

func start(t *testing.T, change func(*Spec)) *Child {
	t.Helper()
	spec := self("good")
	if change != nil {
		change(&spec)
	}
	c, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		mustBeGone(t, c.PID())
	})
	return c
}

// mustBeGone fails unless the process has ended or ends within 5 s.
func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !alive(pid) {
			return
		}
	}
	t.Errorf("process %d still runs after 5 s", pid)
}

// alive tells whether a process runs; a zombie that nobody collects does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func floats(name string, n int) onnx.Tensor {
	t := onnx.Tensor{Name: name, Type: onnx.Float32, Dims: []int64{int64(n)}, Bytes: make([]byte, 4*n)}
	for i := range n {
		binary.LittleEndian.PutUint32(t.Bytes[4*i:], uint32(i)*2654435761)
	}
	return t
}

func frame(t testing.TB, m *message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeMessage(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
