package pack

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// About is what [Archive] adds to a directory that is no package of itself.
const About = "PACKAGE.md"

// Archive writes a directory as [Tar] does. One that has [Checksums] is a package: it
// is proved, and written as it is. To any other they are added, and [About], which
// holds the notes, a paragraph each, and what may be passed on.
func Archive(w io.Writer, dir string, notes []string) error {
	names, err := regular(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, Checksums) {
		more, err := Verify(dir, Checksums)
		if err == nil && more != nil {
			err = fault.New(fault.Input, "packing", dir, "its "+Checksums+" does not list "+strings.Join(more, ", "), "take out what is no part of it, or package it again")
		}
		if err != nil {
			return err
		}
		return Tar(w, dir, nil)
	}
	text := "# " + filepath.Base(absolute(dir)) + "\n"
	for _, n := range append(slices.Clone(notes), Redistribution, provesFiles) {
		text += "\n" + n + "\n"
	}
	sums, err := fsx.Digests(dir)
	if err != nil {
		return err
	}
	sums[About] = fsx.DigestOf([]byte(text))
	return Tar(w, dir, map[string]string{About: text, Checksums: sumLines(sums)})
}

// Tar writes the files below dir, and texts by their names, as an archive whose bytes
// depend on their names, their contents and on what may be executed: no times, no
// owners, names in order.
func Tar(w io.Writer, dir string, texts map[string]string) error {
	names, err := regular(dir)
	if err != nil {
		return err
	}
	for name := range texts {
		if slices.Contains(names, name) {
			return fault.New(fault.Usage, "packing", dir, "it holds a file "+name+" of its own", "rename it")
		}
	}
	names = append(names, slices.Collect(maps.Keys(texts))...)
	slices.Sort(names)
	t := tar.NewWriter(w)
	home := filepath.Base(absolute(dir)) // "." and ".." are no names
	for _, name := range names {
		to := home + "/" + name
		if text, ok := texts[name]; ok {
			err = add(t, to, strings.NewReader(text), int64(len(text)), 0)
		} else {
			err = addFile(t, to, filepath.Join(dir, filepath.FromSlash(name)))
		}
		if err != nil {
			return fsx.Explain("packing", dir, err)
		}
	}
	return fsx.Explain("packing", dir, t.Close())
}

// regular names the files below dir by their paths from there with slashes, sorted.
// What is no file cannot be packed: a link may lead anywhere.
func regular(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fault.New(fault.Input, "packing", path, "it is no regular file", "put the file itself there, or take it out")
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	slices.Sort(names)
	return names, fsx.Explain("reading", dir, err)
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func addFile(t *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return add(t, name, f, info.Size(), info.Mode())
}

func add(t *tar.Writer, name string, r io.Reader, size int64, mode fs.FileMode) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}
	if mode&0o100 != 0 {
		h.Mode = 0o755 // a script is run as its README says
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if n, err := io.CopyN(t, r, size); err != nil {
		return fmt.Errorf("%s: %d of %d bytes: %w", name, n, size, err)
	}
	return nil
}
