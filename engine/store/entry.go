package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

const (
	sealFile = "seal" // the sha256 of the manifest
	usedFile = "used" // its time is that of the last use
)

// Entry is an engine in a store.
type Entry struct {
	Dir      string
	Manifest *engine.Manifest
	Used     time.Time // when it was last built or given out
	Cached   bool      // whether it was there before it was asked for
}

// File is the engine's file.
func (e *Entry) File() string { return filepath.Join(e.Dir, e.Manifest.File) }

// read reads an entry and its seal. The engine's files are not read.
func read(dir string) (*Entry, error) {
	path := filepath.Join(dir, engine.ManifestFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	seal, err := os.ReadFile(filepath.Join(dir, sealFile))
	if err != nil {
		return nil, fsx.Explain("reading", filepath.Join(dir, sealFile), err)
	}
	sum := sha256.Sum256(b)
	if got := strings.TrimSpace(string(seal)); got != hex.EncodeToString(sum[:]) {
		return nil, damaged(path, "it is not what was sealed: it was edited or cut")
	}
	m, err := engine.ReadManifest(strings.NewReader(string(b)), path)
	if err != nil {
		return nil, err
	}
	e := &Entry{Dir: dir, Manifest: m}
	if info, err := os.Stat(filepath.Join(dir, usedFile)); err == nil {
		e.Used = info.ModTime()
	}
	return e, nil
}

func damaged(path, cause string) error {
	return fault.New(fault.Input, "proving engine", path, cause, "copy it again, or build it again; from a store `trtforge engines prune --damaged` removes it")
}

// prove recomputes everything that the manifest claims: the key from the inputs,
// and the digest of each file. All that is wrong is told at once.
func (e *Entry) prove() error { return e.whole(filepath.Base(e.Dir)) }

// whole is prove for an engine that stands under another name than its key.
func (e *Entry) whole(key string) error {
	m := e.Manifest
	var errs []error
	if m.Key != key || engine.KeyOf(m.Inputs) != key {
		errs = append(errs, damaged(e.Dir, "its inputs do not make its key"))
	}
	if len(m.Digests) == 0 || m.Digests[m.File] == "" {
		errs = append(errs, damaged(e.Dir, "its manifest has no digests"))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Digests)) {
		path := filepath.Join(e.Dir, name)
		if !filepath.IsLocal(name) {
			errs = append(errs, damaged(e.Dir, fmt.Sprintf("its manifest names %q, which lies outside", name)))
			continue
		}
		switch d, err := fsx.Digest(path); {
		case errors.Is(err, fs.ErrNotExist):
			errs = append(errs, damaged(path, "it is missing"))
		case err != nil:
			errs = append(errs, err)
		case d != m.Digests[name]:
			errs = append(errs, damaged(path, fmt.Sprintf("its sha256 is %.12s, built was %.12s", d, m.Digests[name])))
		}
	}
	if errs == nil {
		errs = append(errs, e.header())
	}
	return errors.Join(errs...)
}

// header holds a plan's own header against the manifest's builder, of whose version
// "10.13.3" a plan adds a fourth number.
func (e *Entry) header() error {
	if filepath.Ext(e.Manifest.File) != ".plan" {
		return nil
	}
	h, err := planfile.Read(e.File())
	if err != nil {
		return err
	}
	version := h.Version
	if h.Family == planfile.TensorRT {
		version = version[:strings.LastIndexByte(version, '.')]
	}
	if !strings.HasPrefix(e.Manifest.Builder+" ", string(h.Family)+" "+version) {
		return damaged(e.File(), fmt.Sprintf("it was written by %s %s, its manifest says by %s", h.Family, h.Version, e.Manifest.Builder))
	}
	return nil
}

// seal writes the manifest, complete with inputs and digests, and its seal. What its
// builder hashed while writing is not read again: a gigabyte takes a second.
func seal(dir string, m *engine.Manifest, inputs map[string]string) error {
	var err error
	if m.Digests, err = fsx.DigestsWith(dir, m.Hashed); err != nil {
		return err
	}
	if got := m.Digests[m.File]; m.FileDigest != got {
		return fault.New(fault.Runtime, "keeping", m.File, fmt.Sprintf("its sha256 is %.12s, the builder says %.12s", got, m.FileDigest), "report this, with the builder's log")
	}
	m.Inputs = inputs
	path := filepath.Join(dir, engine.ManifestFile)
	if err := fsx.WriteJSON(path, m); err != nil {
		return err
	}
	sum, err := fsx.Digest(path)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{sealFile: sum + "\n", usedFile: ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fsx.Explain("writing", name, err)
		}
	}
	return nil
}

// Touch notes that the engine was used. It is advice for pruning, so a store that
// cannot be written to is no failure.
func (e *Entry) Touch() {
	e.Used = time.Now()
	_ = os.Chtimes(filepath.Join(e.Dir, usedFile), e.Used, e.Used)
}

// Export puts a copy of the engine, its manifest and its seal into dir, which it
// replaces. A directory that holds anything but an engine is refused, as class usage.
func (e *Entry) Export(dir string) error {
	if err := Free(dir); err != nil {
		return err
	}
	return fsx.WriteDir(dir, e.CopyTo)
}

// CopyTo puts a copy of the engine, its manifest and its seal into dir, an existing
// directory. They are no links, so that who edits them does not damage the store.
func (e *Entry) CopyTo(dir string) error {
	for _, name := range append(slices.Sorted(maps.Keys(e.Manifest.Digests)), engine.ManifestFile, sealFile) {
		if err := fsx.Copy(filepath.Join(e.Dir, name), filepath.Join(dir, name)); err != nil {
			return fsx.Explain("writing", name, err)
		}
	}
	return nil
}

// Free refuses, as class usage, a directory that [Entry.Export] would not replace.
func Free(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if other := stranger(dir); other != "" {
			return fault.New(fault.Usage, "writing an engine to", dir, "the directory holds something else: "+other, "choose another one")
		}
	}
	return nil
}

// stranger is something in dir that is no part of the engine there, or "".
func stranger(dir string) (other string) {
	e, err := read(dir)
	if err != nil {
		return "what is no engine"
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		switch own := e.Manifest.Digests[name] != "" || name == engine.ManifestFile || name == sealFile || name == usedFile; {
		case err == nil && (d.IsDir() || own):
			return nil
		default:
			other = name
			return filepath.SkipAll
		}
	})
	return other
}

// IsEngine tells whether a directory holds an engine as a store hands it out: a
// manifest and its seal.
func IsEngine(dir string) bool {
	for _, name := range []string{engine.ManifestFile, sealFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// Prove proves an engine that was taken out of a store. A directory that holds no
// manifest is no engine, and nothing is said of it.
func Prove(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, engine.ManifestFile)); err != nil {
		return nil
	}
	_, err := Look(dir)
	return err
}

// Look is the proved engine of a directory outside of a store.
func Look(dir string) (*Entry, error) {
	e, err := read(dir)
	if err != nil {
		return nil, err
	}
	return e, e.whole(e.Manifest.Key)
}
