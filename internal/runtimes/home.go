package runtimes

import (
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
)

// Home is the directory of everything trtforge keeps between runs: TRTFORGE_HOME,
// or trtforge below XDG_CACHE_HOME, or ~/.cache/trtforge. It need not exist.
func Home() (string, error) {
	if dir := os.Getenv("TRTFORGE_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	// The XDG specification wants a relative path ignored.
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "trtforge"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fault.Wrap(fault.Usage, "finding", "the cache directory", err, "set TRTFORGE_HOME to a directory you may write to")
	}
	return filepath.Join(home, ".cache", "trtforge"), nil
}

// root is the directory that holds the runtimes.
func root() (string, error) {
	home, err := Home()
	return filepath.Join(home, "runtimes"), err
}

// dirOf is where the locked build of s belongs.
func dirOf(s Spec) (string, error) {
	base, err := root()
	if err != nil {
		return "", err
	}
	lock, err := LockOf(s.Name)
	if err != nil {
		return "", err
	}
	var below []string
	if s.Over != "" {
		under, err := LockOf(s.Over)
		if err != nil {
			return "", err
		}
		below = append(below, under.Text)
	}
	return filepath.Join(base, s.Name+"-"+lock.hash(below...)), nil
}
