package fsx

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds a chain of symbolic links, as the kernel does.
const maxLinks = 40

// Target is the file that path names once its symbolic links are followed; it need
// not be there. Names of open files, below /dev and /proc, are left as they are.
func Target(path string) string {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil || opened(path) {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

// opened tells the names of what is open or a device, as /dev/stdout.
func opened(path string) bool {
	abs, err := filepath.Abs(path)
	return err == nil && (strings.HasPrefix(abs, "/dev/") && !strings.HasPrefix(abs, "/dev/shm/") || strings.HasPrefix(abs, "/proc/"))
}

// Through tells whether path is written through rather than replaced: a device, a
// pipe, or a name of an open file.
func Through(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (!info.Mode().IsRegular() || opened(Target(path)))
}

// through writes to what is there. Standard output is written to as it is open:
// opened again, a file would be written from its beginning.
func through(path string, fill func(w io.Writer) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if out, err := os.Stdout.Stat(); err == nil && opened(Target(path)) && os.SameFile(info, out) {
		return fill(os.Stdout)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// Writable tells before long work whether a file can be written at path. It makes
// nothing: of directories that are not there it asks the one above them.
func Writable(path string) error {
	if Through(path) {
		return nil
	}
	dir := filepath.Dir(Target(path))
	for {
		_, err := os.Stat(dir)
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		break
	}
	f, err := os.CreateTemp(dir, TempPrefix+filepath.Base(path)+"-*")
	if err != nil {
		return Explain("writing", path, plain(err))
	}
	return Explain("writing", path, errors.Join(f.Close(), os.Remove(f.Name())))
}
