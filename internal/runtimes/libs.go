package runtimes

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Shared is a shared library found on this machine.
type Shared struct {
	Path    string
	Version string // from its real name, libx.so.10.9.0 -> "10.9.0"; "" if that says nothing
}

// Major is the first number of the version, or "".
func (s Shared) Major() string {
	major, _, _ := strings.Cut(s.Version, ".")
	return major
}

// LibraryDirs is where the dynamic loader looks (LD_LIBRARY_PATH, ld.so.conf, its
// own defaults) and then where NVIDIA's archives are usually unpacked.
func LibraryDirs() []string {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	dirs = append(dirs, confDirs("/etc/ld.so.conf", 0)...)
	dirs = append(dirs, "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
	for _, pattern := range []string{"/usr/local/cuda/lib64", "/usr/local/[Tt]ensor[Rr][Tt]*/lib", "/opt/[Tt]ensor[Rr][Tt]*/lib", "/usr/lib/wsl/lib"} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		dirs = append(dirs, found...)
	}
	var out []string
	for _, dir := range dirs {
		if dir != "" && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// confDirs reads ld.so.conf and what it includes, to a depth that stops circles.
func confDirs(path string, depth int) []string {
	text, err := os.ReadFile(path)
	if err != nil || depth > 4 {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if pattern, ok := strings.CutPrefix(line, "include "); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			files, _ := filepath.Glob(pattern)
			for _, f := range files {
				dirs = append(dirs, confDirs(f, depth+1)...)
			}
		} else if line != "" {
			dirs = append(dirs, line)
		}
	}
	return dirs
}

// FindShared finds lib<stem>.so and its versioned names in dirs, each file once,
// in the order of dirs.
func FindShared(stem string, dirs []string) []Shared {
	var out []Shared
	seen := map[string]bool{}
	for _, dir := range dirs {
		names, _ := filepath.Glob(filepath.Join(dir, "lib"+stem+".so*"))
		for _, name := range names {
			full, err := filepath.EvalSymlinks(name)
			if err != nil || seen[full] {
				continue
			}
			seen[full] = true
			_, version, _ := strings.Cut(filepath.Base(full), ".so.")
			out = append(out, Shared{Path: name, Version: version})
		}
	}
	return out
}

// ortVersion matches the symbol version that every build of ONNX Runtime defines.
var ortVersion = regexp.MustCompile(`^VERS_(\d+\.\d+\.\d+)`)

// LibraryVersion reads the version of a libonnxruntime file without loading it. A
// file that is not an x86-64 library with ONNX Runtime's entry point is an error.
func LibraryVersion(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	if f.Machine != elf.EM_X86_64 {
		return "", fmt.Errorf("reading %s: it is built for %v", path, f.Machine)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	for _, s := range symbols {
		if s.Name == "OrtGetApiBase" && s.Section != elf.SHN_UNDEF {
			if m := ortVersion.FindStringSubmatch(s.Version); m != nil {
				return m[1], nil
			}
			return "", nil
		}
	}
	return "", fmt.Errorf("reading %s: %w", path, errors.New("it is not ONNX Runtime: it has no OrtGetApiBase"))
}
