// Package fsx writes files and directories that are either whole or absent.
//
// A writer makes a temporary sibling, syncs it and renames it, so a reader, a
// kill or a full disk never shows a half-written artefact. Temporary names begin
// with [TempPrefix]; [Sweep] removes those that a killed process left behind.
package fsx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/trtforge/trtforge/internal/fault"
)

// TempPrefix begins the name of everything that is not yet whole.
const TempPrefix = ".tmp-"

// WriteFile writes what fill produces to path, whole or not at all. A symbolic
// link stays one: what it points to is replaced. A device, a pipe and what
// /dev/stdout stands for are written through, since they are no file to replace.
func WriteFile(path string, fill func(w io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fault.New(fault.Runtime, "writing", path, "is a directory", "name a file")
	}
	if Through(path) {
		return Explain("writing", path, through(path, fill))
	}
	path = Target(path)
	f, err := os.CreateTemp(filepath.Dir(path), TempPrefix+filepath.Base(path)+"-*")
	if err != nil {
		return Explain("writing", path, plain(err))
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = Explain("writing", path, plain(err))
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// plain is an error of the file system without the temporary name in it.
func plain(err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at) && strings.Contains(at.Path, TempPrefix):
		return at.Err
	case errors.As(err, &link) && strings.Contains(link.Old+link.New, TempPrefix):
		return link.Err
	}
	return err
}

// WriteJSON writes v to path as indented JSON with a final newline.
func WriteJSON(path string, v any) error {
	b, err := JSON(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	return WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// JSON is what WriteJSON writes.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// WriteDir fills a new directory and gives it the name dir, replacing what was
// there. fill gets the temporary directory; whatever it leaves there is kept
// if it returns nil and removed otherwise.
func WriteDir(dir string, fill func(tmp string) error) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Explain("creating", parent, err)
	}
	tmp, err := os.MkdirTemp(parent, TempPrefix+filepath.Base(dir)+"-*")
	if err != nil {
		return Explain("creating a directory in", parent, err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Explain("creating", dir, err)
	}
	if err := fill(tmp); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return Explain("writing", dir, err)
	}
	// What was there loses its name first, so that a kill leaves no half of it.
	old := tmp + "-old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Explain("replacing", dir, plain(err))
	}
	if err := os.Rename(tmp, dir); err != nil {
		_ = os.Rename(old, dir)
		return Explain("writing", dir, plain(err))
	}
	return Explain("replacing", dir, plain(os.RemoveAll(old)))
}

// syncTree flushes every file below dir, and dir itself.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// MkdirAll makes dir and its parents.
func MkdirAll(dir string) error {
	return Explain("creating", dir, os.MkdirAll(dir, 0o755))
}

// Sweep removes what killed writers left in dir. The caller holds whatever
// lock keeps other writers out of it.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return Explain("reading", dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), TempPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return Explain("removing", e.Name(), err)
			}
		}
	}
	return nil
}

// Digest is the sha256 of a file in hexadecimal.
func Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", Explain("reading", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// DigestOf is the sha256 of bytes in hexadecimal.
func DigestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Digests is the sha256 of every file below dir, by its path from there with slashes.
func Digests(dir string) (map[string]string, error) { return DigestsWith(dir, nil) }

// DigestsWith is Digests where those in known are not computed again.
func DigestsWith(dir string, known map[string]string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if all[name] = known[name]; all[name] == "" {
			all[name], err = Digest(path)
		}
		return err
	})
	return all, Explain("reading", dir, err)
}

// Copy copies a file's bytes into a file that it makes or empties, with the
// directories above; for what appears as a whole with its directory ([WriteDir]).
// Errors of the source have their class; the others are the caller's to explain, who
// knows the name that the copy will have.
func Copy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return Explain("reading", from, err)
	}
	defer func() { _ = in.Close() }()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return plain(err)
	}
	out, err := os.Create(to)
	if err != nil {
		return plain(err)
	}
	_, err = io.Copy(out, in)
	return plain(errors.Join(err, out.Close()))
}

// Explain gives an error of the file system its class and its remedy. An error
// that has a class already keeps it.
func Explain(doing, path string, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fault.Wrap(fault.Runtime, doing, path, err, "free some space, or choose another output directory")
	case errors.Is(err, fs.ErrPermission) && reads(doing):
		return fault.Wrap(fault.Input, doing, path, err, "make it readable for this user: chmod u+r")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.Wrap(fault.Runtime, doing, path, err, "choose a directory that you may write to")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		if makes(doing) {
			return fault.Wrap(fault.Runtime, doing, path, err, "choose a directory that you may write to")
		}
		return fault.Wrap(fault.Input, doing, path, err, "check the path")
	}
	return fault.Wrap(fault.Runtime, doing, path, err, "")
}

// reads tells whether what was being done reads a file that somebody gave.
func reads(doing string) bool {
	verb, _, _ := strings.Cut(doing, " ")
	return verb == "reading" || verb == "loading" || verb == "opening" || verb == "inspecting"
}

// makes tells whether what was being done makes a file rather than reads one: a
// path that is not there is then no fault of the input.
func makes(doing string) bool {
	verb, _, _ := strings.Cut(doing, " ")
	return verb == "creating" || verb == "writing" || verb == "replacing"
}
