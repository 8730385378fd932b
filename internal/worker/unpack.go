package worker

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/runtimes"
)

//go:embed py/*.py
var programs embed.FS

// sources is the embedded programs by file name, and their digest.
func sources() (map[string][]byte, string, error) {
	all, h := map[string][]byte{}, sha256.New()
	entries, err := fs.ReadDir(programs, "py")
	if err != nil {
		return nil, "", fmt.Errorf("reading embedded workers: %w", err)
	}
	for _, e := range entries {
		b, err := programs.ReadFile("py/" + e.Name())
		if err != nil {
			return nil, "", fmt.Errorf("reading embedded workers: %w", err)
		}
		all[e.Name()] = b
		_, _ = fmt.Fprintf(h, "%s %d\n%s", e.Name(), len(b), b) // a hash never fails
	}
	return all, hex.EncodeToString(h.Sum(nil)), nil
}

// Digest identifies the embedded programs; it belongs into the key of what
// they make.
func Digest() string {
	_, digest, err := sources()
	if err != nil {
		return "" // embedded files are always readable
	}
	return digest
}

// unpack writes the programs into cache and returns their directory. Programs
// that are there already are compared byte by byte: they will be executed.
func unpack(cache string) (string, error) {
	all, digest, err := sources()
	if err != nil {
		return "", err
	}
	if cache == "" {
		if cache, err = runtimes.Home(); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, "workers", digest[:16])
	if intact(dir, all) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fsx.Explain("creating", dir, err)
	}
	// File by file, each whole or absent: another process may write the same
	// ones and start a worker from them at this moment.
	for name, b := range all {
		err := fsx.WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}

func intact(dir string, all map[string][]byte) bool {
	for name, want := range all {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, want) {
			return false
		}
	}
	return true
}
