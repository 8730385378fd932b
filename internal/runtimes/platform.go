package runtimes

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// The oldest glibc that the locked wheels run on.
const glibcMajor, glibcMinor = 2, 28

// CheckPlatform refuses, by name, every machine that the native runtimes are not
// built for.
func CheckPlatform() error {
	return checkPlatform(runtime.GOOS, runtime.GOARCH, Glibc())
}

func checkPlatform(goos, goarch, glibc string) error {
	fix := "use a linux/amd64 machine with glibc 2.28 or later (Debian 10, Ubuntu 20.04, RHEL 8), or a container of one"
	refuse := func(what, cause string) error {
		return fault.New(fault.Missing, "setting up on", what, cause, fix)
	}
	if goos != "linux" || goarch != "amd64" {
		return refuse(goos+"/"+goarch, "the native runtimes are built for linux/amd64 only")
	}
	if glibc == "" {
		return refuse("linux without glibc", "the native runtimes need glibc; musl will not do")
	}
	var major, minor int
	if _, err := fmt.Sscanf(glibc, "%d.%d", &major, &minor); err != nil {
		return refuse("glibc "+glibc, "this version is not understood")
	}
	if major < glibcMajor || major == glibcMajor && minor < glibcMinor {
		return refuse("glibc "+glibc, fmt.Sprintf("the native runtimes need glibc %d.%d or later", glibcMajor, glibcMinor))
	}
	return nil
}

// Glibc is the version of this machine's C library, "2.36", or "" where it is
// not glibc. It is the newest GLIBC_2.n that libc.so.6 defines.
func Glibc() string {
	for _, dir := range LibraryDirs() {
		f, err := elf.Open(filepath.Join(dir, "libc.so.6"))
		if err != nil {
			continue
		}
		defined, err := f.DynamicVersions()
		_ = f.Close()
		if err != nil || f.Machine != elf.EM_X86_64 {
			continue
		}
		newest := -1
		for _, v := range defined {
			minor, ok := strings.CutPrefix(v.Name, "GLIBC_2.")
			minor, _, _ = strings.Cut(minor, ".")
			if n, err := strconv.Atoi(minor); ok && err == nil {
				newest = max(newest, n)
			}
		}
		if newest >= 0 {
			return fmt.Sprintf("2.%d", newest)
		}
	}
	return ""
}

// FreeBytes is the free space, for an ordinary user, of the file system that dir
// is or will be on.
func FreeBytes(dir string) (int64, error) {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(dir, &s)
		if err == nil {
			return int64(s.Bavail) * s.Bsize, nil
		}
		parent := filepath.Dir(dir)
		if !os.IsNotExist(err) || parent == dir {
			return 0, fsx.Explain("measuring the free space of", dir, err)
		}
		dir = parent
	}
}

// checkSpace refuses to begin what would fill the disk.
func checkSpace(dir string, need int64) error {
	free, err := FreeBytes(dir)
	if err != nil {
		return err
	}
	if free < need {
		return fault.New(fault.Runtime, "installing into", dir, fmt.Sprintf("%s are needed meanwhile and %s are free", Size(need), Size(free)),
			"free some space, or set TRTFORGE_HOME to a directory on another disk")
	}
	return nil
}

// Size is a number of bytes for people: "28 MB", "5.6 GB".
func Size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}
