package trtexec

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// Tool is an installed trtexec.
type Tool struct {
	Path  string
	Major int
	Minor int
	Patch int
}

// Version is TensorRT's version as people write it.
func (t Tool) Version() string { return fmt.Sprintf("%d.%d.%d", t.Major, t.Minor, t.Patch) }

// The oldest and the newest major version whose syntax is known.
const oldest, newest = 10, 11

// maxHelp is what is kept of a tool's help: its first lines say the version.
const maxHelp = 1 << 20

// asking is how long a tool may take to print its help.
const asking = 20 * time.Second

// Places are where a trtexec is looked for, in this order; a name without a
// directory is looked for in PATH.
var Places = []string{"trtexec", "/usr/src/tensorrt/bin/trtexec"}

// Find finds a trtexec and asks for its version. None, and one whose syntax is not
// known, are errors of class missing.
func Find(ctx context.Context) (Tool, error) {
	for _, p := range Places {
		if path, err := exec.LookPath(p); err == nil {
			return Ask(ctx, path)
		}
	}
	return Tool{}, fault.New(fault.Missing, "looking for", "trtexec", "it is neither in PATH nor at "+Places[len(Places)-1],
		"install TensorRT (`trtforge setup trt` says how), or build for rtx, which needs no TensorRT and no GPU")
}

// banner is what every trtexec prints first: [TensorRT v101303] since 10, with two
// digits a part behind the major version, and [b34] of the build behind it.
var banner = regexp.MustCompile(`TensorRT\.trtexec \[TensorRT v(\d{5,6})\]`)

// Ask asks the trtexec at path for its version.
func Ask(ctx context.Context, path string) (Tool, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "--help")
	kept := &capped{w: &out, left: maxHelp}
	cmd.Stdout, cmd.Stderr = kept, kept
	cmd.WaitDelay = time.Second // for what a wrapper started, which keeps the output open
	err := cmd.Run()
	t, ok := versionIn(out.Bytes())
	if !ok {
		cause := fmt.Errorf("it does not say its version: %.200q", strings.TrimSpace(out.String()))
		if err != nil {
			cause = fmt.Errorf("%w: %.200s", err, strings.TrimSpace(out.String()))
		}
		return Tool{}, fault.Wrap(fault.Missing, "asking for the version of", path, cause, "check that it runs: "+path+" --help")
	}
	t.Path = path
	if t.Major < oldest || t.Major > newest {
		return Tool{}, fault.New(fault.Missing, "using", path, fmt.Sprintf("it is of TensorRT %s; the syntax of %d to %d is known", t.Version(), oldest, newest),
			"install one of those")
	}
	return t, nil
}

// versionIn reads the banner of what a trtexec printed.
func versionIn(text []byte) (t Tool, ok bool) {
	m := banner.FindSubmatch(text)
	if m == nil {
		return t, false
	}
	n, err := strconv.Atoi(string(m[1]))
	return Tool{Major: n / 10000, Minor: n / 100 % 100, Patch: n % 100}, err == nil
}
