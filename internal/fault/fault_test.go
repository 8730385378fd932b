package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestExit(t *testing.T) {
	missing := New(Missing, "loading", "libnvinfer", "not found", "install it")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"unclassified", errors.New("what"), 5},
		{"canceled", fmt.Errorf("job: %w", context.Canceled), 130},
		{"wrapped", fmt.Errorf("stage x: %w", missing), 3},
		{"outer class wins", Wrap(Usage, "checking", "file", missing, ""), 2},
		{"input before missing", errors.Join(missing, New(Input, "", "", "x", "")), 4},
		{"runtime before gate", errors.Join(New(Gate, "", "", "x", ""), New(Runtime, "", "", "x", "")), 5},
		{"usage before all but signals", errors.Join(New(Input, "", "", "x", ""), New(Usage, "", "", "x", "")), 2},
		{"signal first", errors.Join(New(Usage, "", "", "x", ""), New(Terminate, "", "", "x", "")), 143},
		{"deep join", fmt.Errorf("a: %w", errors.Join(errors.New("b"), missing)), 3},
	} {
		if got := Exit(c.err); got != c.want {
			t.Errorf("%s: exit %d, want %d", c.name, got, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	err := Wrap(Input, "reading", "a.onnx", fs.ErrNotExist, "check the path")
	if got, want := err.Error(), "reading a.onnx: file does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause below is lost")
	}
	if Wrap(Input, "", "", nil, "") != nil {
		t.Error("no error became one")
	}
}
