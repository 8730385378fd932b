package validate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// ModelDigest identifies a Hugging Face checkpoint: the sha256 of the lines
// "NAME SHA256\n" of config.json, every *.safetensors and *.safetensors.index.json
// in dir, in the order of their names. Where the directory lies and what else is
// in it does not matter.
func ModelDigest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fsx.Explain("reading checkpoint", dir, err)
	}
	var paths []string
	for _, e := range entries { // sorted by name
		name := e.Name()
		if name == "config.json" || strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, ".safetensors") }) {
		return "", fault.New(fault.Input, "reading checkpoint", dir, "it holds no .safetensors file", "give a Hugging Face directory with safetensors weights")
	}
	return FilesDigest(paths...)
}

// FilesDigest is the sha256 of the lines "NAME SHA256\n" of the files in the
// order given, NAME without directories. It is what identifies a tokenizer
// (bpe.Files), too.
func FilesDigest(paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		d, err := fsx.Digest(path)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %s\n", filepath.Base(path), d) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
