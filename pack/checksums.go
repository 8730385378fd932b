package pack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Checksums is the file of checksums, as `sha256sum -c` reads it.
const Checksums = "checksums.sha256"

const provesFiles = "`sha256sum -c " + Checksums + "` proves the files."

// WriteChecksums writes the sha256 of every file below dir into [Checksums] there.
func WriteChecksums(dir string) error {
	sums, err := fsx.Digests(dir)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, Checksums), sumLines(sums))
}

func sumLines(sums map[string]string) string {
	var lines []string
	for name, sum := range sums {
		lines = append(lines, fmt.Sprintf("%s  %s\n", sum, name))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// proved holds the files of a package against its checksums.
func proved(dir string, names []string) error {
	b, err := os.ReadFile(filepath.Join(dir, Checksums))
	if err != nil {
		return fsx.Explain("reading", Checksums, err)
	}
	sums, err := fsx.Digests(dir)
	if err != nil {
		return err
	}
	delete(sums, Checksums)
	if sumLines(sums) == string(b) {
		return nil
	}
	said := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		said[strings.TrimSuffix(line, "\n")] = true
	}
	var wrong []string
	for _, name := range names {
		if name != Checksums && !said[sums[name]+"  "+name] {
			wrong = append(wrong, name)
		}
	}
	if wrong == nil {
		wrong = []string{"a file is missing"}
	}
	return fault.New(fault.Input, "packing", dir, "its files are not those of its "+Checksums+": "+strings.Join(wrong, ", "), "package it again")
}
