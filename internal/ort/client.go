package ort

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Client runs jobs in one ONNX Runtime child, which it starts at the first job
// and again after a death. Jobs wait for each other. The zero value needs a
// Library; Close it.
type Client struct {
	Library string    // path of libonnxruntime
	Exe     string    // the executable; this one where empty
	Args    []string  // its arguments; Command where empty
	Env     []string  // KEY=VALUE, beside the library's
	Dirs    []string  // where the library's providers find what they link to
	Log     io.Writer // the child's stderr, ONNX Runtime's log among it

	// As in child.Spec: 0 is the default, negative none.
	Start, Silence, Run time.Duration
	Memory              int64

	child.Keeper
}

// Call runs a job; see child.Child.Call for its errors.
func (c *Client) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	_, err := c.CallTensors(ctx, job, request, nil, result, p)
	return err
}

// CallTensors is Call with tensors in both directions.
func (c *Client) CallTensors(ctx context.Context, job string, request any, in []onnx.Tensor, result any, p progress.Counter) ([]onnx.Tensor, error) {
	running, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	return running.CallTensors(ctx, job, request, in, result, p)
}

// Facts are what a child says of the library that it loaded.
type Facts struct {
	Version string `json:"version"` // ONNX Runtime's
	Threads int    `json:"threads"` // what Options.Threads 0 means
	CPU     string `json:"cpu"`     // features that decide which kernels run
}

// Facts starts the child if need be and asks what it loaded.
func (c *Client) Facts(ctx context.Context) (Facts, error) {
	var f Facts
	running, err := c.running(ctx)
	if err != nil {
		return f, err
	}
	return f, running.Facts(&f)
}

// Version is the version of the library.
func (c *Client) Version(ctx context.Context) (string, error) {
	f, err := c.Facts(ctx)
	return f.Version, err
}

// running is a child that takes jobs.
func (c *Client) running(ctx context.Context) (*child.Child, error) {
	return c.Running(ctx, func(ctx context.Context) (*child.Child, error) {
		spec, err := c.spec()
		if err != nil {
			return nil, err
		}
		return child.Start(ctx, spec)
	})
}

func (c *Client) spec() (child.Spec, error) {
	exe, args := c.Exe, c.Args
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return child.Spec{}, fault.Wrap(fault.Runtime, "finding", "this executable", err, "")
		}
	}
	if len(args) == 0 {
		args = []string{Command}
	}
	path := strings.Join(append([]string{filepath.Dir(c.Library)}, c.Dirs...), string(os.PathListSeparator))
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" {
		path += string(os.PathListSeparator) + old
	}
	env := append([]string{LibraryEnv + "=" + c.Library, "LD_LIBRARY_PATH=" + path}, c.Env...)
	return child.Spec{Name: "ort", Path: exe, Args: args, Env: env, Log: c.Log,
		Start: c.Start, Silence: c.Silence, Run: c.Run, Memory: c.Memory}, nil
}
