package pack

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
)

// Tar writes the files below dir as an archive whose bytes depend on their names
// and contents only: no times, no owners, names in order.
func Tar(w io.Writer, dir string) error {
	home, err := filepath.Abs(dir) // "." and ".." are no names
	if err != nil {
		return fsx.Explain("packing", dir, err)
	}
	t := tar.NewWriter(w)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return add(t, path, filepath.ToSlash(filepath.Join(filepath.Base(home), name)))
	})
	if err != nil {
		return fsx.Explain("packing", dir, err)
	}
	return fsx.Explain("packing", dir, t.Close())
}

func add(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644}); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, info.Size())
	return err
}
