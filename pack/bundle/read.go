package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/engine/trtexec"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/pack"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// Bundle is a bundle that came back.
type Bundle struct {
	Head    Head
	Request engine.Request
	dir     string
}

// Is tells whether a directory is a bundle, or the result in one.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(home(dir), headFile))
	return err == nil
}

// home is the directory of a bundle, of which dir may be the result.
func home(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if _, err := os.Stat(filepath.Join(dir, headFile)); err != nil && filepath.Base(dir) == resultDir {
		return filepath.Dir(dir)
	}
	return dir
}

// maxHead bounds build.json and the times of a profile, which are some 100 bytes a
// pass.
const (
	maxHead  = 1 << 20
	maxTimes = 64 << 20
)

// Read reads a bundle, or the one that dir is the result of, and sees that its files
// are those that were packed. Errors are of class input.
func Read(dir string) (*Bundle, error) {
	b := &Bundle{dir: home(dir)}
	if err := decode(filepath.Join(b.dir, headFile), maxHead, &b.Head); err != nil {
		return nil, err
	}
	if h := b.Head; h.Kind != "build" || h.SchemaVersion < 1 || h.SchemaVersion > SchemaVersion {
		return nil, fault.New(fault.Input, "reading bundle", b.dir,
			fmt.Sprintf("kind %q of version %d; this program reads bundles up to version %d", h.Kind, h.SchemaVersion, SchemaVersion), "use the trtforge that packed it")
	}
	if _, err := pack.Verify(b.dir, pack.Checksums); err != nil {
		return nil, err
	}
	c, err := contract.Load(filepath.Join(b.dir, contract.File))
	if err != nil {
		return nil, err
	}
	plan, err := profiles.Load(filepath.Join(b.dir, planFile))
	if err != nil {
		return nil, err
	}
	b.Request = engine.Request{
		Name: b.Head.Name, Backend: "trtexec", Precision: b.Head.Precision, Model: filepath.Join(b.dir, modelFile),
		ModelDigest: b.Head.ModelDigest, Contract: c, Plan: plan,
	}
	return b, b.sameGraph()
}

func decode(path string, most int64, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(v); err != nil {
		return fault.Wrap(fault.Input, "reading", path, err, "bring the bundle back as it was")
	}
	return nil
}

// sameGraph holds the graph against its digest and its precision.
func (b *Bundle) sameGraph() error {
	m, err := onnx.Load(b.Request.Model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	if digest != b.Head.ModelDigest {
		return fault.New(fault.Input, "reading bundle", b.dir, fmt.Sprintf("its graph has the digest %.12s, packed was %.12s", digest, b.Head.ModelDigest), "bring the bundle back as it was")
	}
	return engine.CheckGraph(m, b.Head.Precision)
}

// Result takes what build.sh left into a store, under the key that a build of the
// request on that machine has, with the rows of its times in rows.jsonl.
func (b *Bundle) Result(ctx context.Context, s *store.Store) (*store.Entry, []rows.Row, error) {
	from := filepath.Join(b.dir, resultDir)
	if _, err := os.Stat(filepath.Join(from, "engine.plan")); err != nil {
		return nil, nil, fault.New(fault.Input, "reading the result of", b.dir, "build.sh has left no engine", "run it on a machine with a GPU, and bring back "+resultDir+"/")
	}
	if _, err := pack.Verify(from, sumsFile); err != nil { // a classic plan does not say its length
		return nil, nil, err
	}
	builder, err := trtexec.Result(from)
	if err != nil {
		return nil, nil, err
	}
	if err := b.sameBuild(filepath.Join(from, trtexec.LogFile)); err != nil {
		return nil, nil, err
	}
	header, err := planfile.Read(filepath.Join(from, "engine.plan"))
	if err != nil {
		return nil, nil, err
	}
	if header.Family != planfile.TensorRT {
		return nil, nil, fault.New(fault.Input, "reading the result of", b.dir, "its plan is of "+string(header.Family), "build it with the bundle's build.sh")
	}
	all, err := b.times(from)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.Add(ctx, b.Request, builder.Revision(), func(dir string) (*engine.Manifest, error) {
		for _, name := range trtexec.Files {
			if err := fsx.Copy(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
				return nil, fsx.Explain("adopting", filepath.Join(from, name), err)
			}
		}
		m, err := builder.Account(b.Request, dir)
		if err != nil {
			return nil, err
		}
		m.Warnings = append(m.Warnings, "built from a bundle, by the word of who ran it")
		return m, rows.WriteFile(filepath.Join(dir, "rows.jsonl"), b.Head.CreatedBy, all)
	})
	return e, all, err
}

// maxCommand bounds the beginning of a log, which holds trtexec's arguments: some 500
// bytes an input and profile.
const maxCommand = 4 << 20

// sameBuild sees that a log is of the arguments that the bundle asks for: the engine's
// own account tells how many profiles it has, and not their shapes.
func (b *Bundle) sameBuild(log string) error {
	want, err := trtexec.BundleArguments(b.Request, modelFile, resultDir)
	if err != nil {
		return err
	}
	f, err := os.Open(log)
	if err != nil {
		return fsx.Explain("reading", log, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxCommand))
	if err != nil {
		return fsx.Explain("reading", log, err)
	}
	_, command, _ := strings.Cut(string(text), "&&&& RUNNING TensorRT.trtexec")
	command, _, _ = strings.Cut(command, "\n")
	said := map[string]bool{}
	for _, word := range strings.Fields(command) {
		said[word] = true
	}
	for _, a := range want {
		if !said[a] {
			return fault.New(fault.Input, "reading the result of", b.dir, "its log is of a build without "+a, "run the bundle's build.sh again")
		}
	}
	return nil
}

// times are the rows of what trtexec measured; none where it measured nothing.
func (b *Bundle) times(dir string) (all []rows.Row, err error) {
	for i, p := range b.Request.Plan.Profiles {
		var passes []struct {
			ComputeMS float64 `json:"computeMs"`
		}
		err := decode(filepath.Join(dir, fmt.Sprintf("times-%d.json", i)), maxTimes, &passes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var ms []float64
		for _, pass := range passes {
			if pass.ComputeMS > 0 {
				ms = append(ms, pass.ComputeMS)
			}
		}
		if len(ms) > 0 {
			all = append(all, timed(b.Head.Name, p, ms))
		}
	}
	return all, nil
}

// Free refuses, as class usage, a directory that holds anything but a bundle, which
// [Write] replaces.
func Free(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 && !Is(dir) {
		return fault.New(fault.Usage, "writing a bundle to", dir, "the directory holds something else: "+entries[0].Name(), "choose another one")
	}
	return nil
}
