package runtimes

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// Options is how to install. The zero value installs from the index that pip is
// configured for, in silence, and accepts no licence.
type Options struct {
	AcceptLicence bool     // also TRTFORGE_ACCEPT_LICENCE=1
	FindLinks     []string // directories of wheels to look in first
	Offline       bool     // look nowhere else
	IndexURL      string   // another index for PyTorch's builds; gives up their hashes
	Python        string   // an interpreter to use instead of installing; remembered
	Library       string   // a libonnxruntime to use instead of installing; remembered
	Out           io.Writer
	Progress      progress.Counter
}

func (o Options) withDefaults() Options {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Progress == nil {
		o.Progress = progress.Noop
	}
	o.AcceptLicence = o.AcceptLicence || os.Getenv("TRTFORGE_ACCEPT_LICENCE") == "1"
	return o
}

func (o Options) say(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) }

// Ensure is the runtime, installed first if need be. It waits while another
// process installs the same one, and after a failure or a kill leaves nothing
// that Find would take for whole.
//
// Usage: an unknown name, a licence that was not accepted, an option that does
// not suit the runtime. Missing: another platform, no Python, no network and no
// wheelhouse. Input: a wheel that contradicts its hash. Runtime: a full disk, a
// failing installer, a build that does not load.
func Ensure(ctx context.Context, name string, o Options) (Runtime, error) {
	o = o.withDefaults()
	spec, err := Lookup(name)
	if err != nil {
		return Runtime{}, err
	}
	if err := CheckPlatform(); err != nil {
		return Runtime{}, err
	}
	if o.Python != "" || o.Library != "" {
		return adopt(ctx, spec, o)
	}
	if r, ok, err := brought(spec); (ok || err != nil) && o.IndexURL == "" {
		return r, err
	}
	if spec.Over != "" {
		if _, err := Ensure(ctx, spec.Over, o); err != nil {
			return Runtime{}, err
		}
	}
	lock, err := LockOf(name)
	if err != nil {
		return Runtime{}, err
	}
	dir, err := dirOf(spec)
	if err != nil {
		return Runtime{}, err
	}
	if o.IndexURL != "" && spec.takesIndex() {
		return ensureFromIndex(ctx, spec, lock, dir, o)
	}
	return ensureAt(ctx, spec, lock, dir, o)
}

// ensureFromIndex installs another index's build beside the locked one in dir
// and remembers it as what the user brought.
func ensureFromIndex(ctx context.Context, spec Spec, lock Lock, dir string, o Options) (Runtime, error) {
	dir = filepath.Join(filepath.Dir(dir), spec.Name+"-"+Lock{Text: o.IndexURL}.hash(lock.Text))
	r, err := ensureAt(ctx, spec, lock, dir, o)
	if err != nil {
		return Runtime{}, err
	}
	r.Brought = "--index-url, installed by `trtforge setup`"
	return r, editOverrides(func(m map[string]Runtime) { m[spec.Name] = r })
}

// ensureAt installs into dir unless it is whole.
func ensureAt(ctx context.Context, spec Spec, lock Lock, dir string, o Options) (Runtime, error) {
	if r, ok := installed(spec, dir); ok {
		return r, nil
	}
	if err := CheckLicence(spec, o); err != nil {
		return Runtime{}, err
	}
	unlock, err := acquire(ctx, dir+".lock", func() {
		o.say("another trtforge is installing %s; waiting for it", spec.Name)
	})
	if err != nil {
		return Runtime{}, err
	}
	defer unlock()
	if r, ok := installed(spec, dir); ok {
		return r, nil
	}
	r, err := install(ctx, spec, lock, dir, o)
	if err != nil {
		// Whatever stands there is not whole. Leave the disk as it was.
		_ = os.RemoveAll(dir)
		return Runtime{}, err
	}
	return r, nil
}

// CheckLicence is the Usage error that says how to accept the licence of a
// runtime, where it must be and is not yet.
func CheckLicence(spec Spec, o Options) error {
	if !spec.accept || o.withDefaults().AcceptLicence {
		return nil
	}
	return fault.New(fault.Usage, "setting up", spec.Name,
		fmt.Sprintf("its licence must be accepted first: %s; read it at %s", spec.Licence, spec.Read),
		"if you agree, repeat with --accept-licence, or set TRTFORGE_ACCEPT_LICENCE=1")
}

// install fills dir anew and proves what it filled it with. The caller holds
// the lock.
func install(ctx context.Context, spec Spec, lock Lock, dir string, o Options) (Runtime, error) {
	started := time.Now()
	py, err := findPython(ctx)
	if err != nil {
		return Runtime{}, err
	}
	if spec.Over != "" {
		if py, err = pythonBelow(ctx, spec, py); err != nil {
			return Runtime{}, err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return Runtime{}, fsx.Explain("removing the unfinished", dir, err)
	}
	if err := checkSpace(dir, lock.Need()); err != nil {
		return Runtime{}, err
	}
	o.say("%s", Announce(spec, lock))
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return Runtime{}, fsx.Explain("creating", dir, err)
	}
	j := job{spec: spec, lock: lock, dir: dir, py: py, o: o}
	r, over, err := j.fill(ctx)
	if err != nil {
		return Runtime{}, err
	}
	if err := j.seal(&r, over); err != nil {
		return Runtime{}, err
	}
	o.say("%s: installed and loaded in %.0f s, %s in %s", spec.Name, time.Since(started).Seconds(), Size(r.Bytes), dir)
	return r, nil
}

// seal clears up, makes sure that everything is on the disk and only then
// writes .complete.
func (j job) seal(r *Runtime, over string) error {
	if err := os.RemoveAll(filepath.Join(j.dir, "tmp")); err != nil {
		return fsx.Explain("removing", filepath.Join(j.dir, "tmp"), err)
	}
	var err error
	if r.Bytes, err = treeBytes(j.dir); err != nil {
		return fsx.Explain("measuring", j.dir, err)
	}
	d, err := os.Open(j.dir)
	if err != nil {
		return fsx.Explain("opening", j.dir, err)
	}
	defer func() { _ = d.Close() }()
	// One call for tens of thousands of files; a loss of power must not leave a
	// .complete beside empty files.
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fsx.Explain("writing", j.dir, err)
	}
	return complete(j.dir, *r, over)
}

// Announce says what an installation brings before it starts.
func Announce(spec Spec, lock Lock) string {
	return fmt.Sprintf("%s: %s\n  download %s, on disk %s, about %s on a line of 20 MB/s\n  licence: %s",
		spec.Name, spec.What, Size(lock.Download), Size(lock.Installed), lock.estimate(), spec.Licence)
}

// estimate is rough: 20 MB/s for the network, 100 MB/s for unpacking, and a few
// seconds to start and to prove it.
func (l Lock) estimate() string {
	d := time.Duration(float64(l.Download)/20e6+float64(l.Installed)/100e6+5) * time.Second
	if d < 90*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// Need is the space an installation takes meanwhile: what it installs, and each
// wheel once in pip's cache and once on its way there.
func (l Lock) Need() int64 { return l.Installed + l.Installed/10 + 2*l.Download }
