package pack

import (
	"fmt"
	"maps"
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
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s  %s\n", sums[name], name)
	}
	return b.String()
}

// Verify holds the files below dir against those that a file there lists as
// `sha256sum` does; one that changed or is gone is an error of class input. It returns
// what the list does not name.
func Verify(dir, list string) (unlisted []string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, list))
	if err != nil {
		return nil, fsx.Explain("reading", filepath.Join(dir, list), err)
	}
	if _, err := regular(dir); err != nil { // a pipe would be waited for
		return nil, err
	}
	sums, err := fsx.Digests(dir)
	if err != nil {
		return nil, err
	}
	delete(sums, list)
	var wrong []string
	for line := range strings.Lines(string(b)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if sums[name] != sum {
			wrong = append(wrong, name)
		}
		delete(sums, name)
	}
	if wrong != nil {
		return nil, fault.New(fault.Input, "checking the files of", dir, list+" lists other ones: "+strings.Join(wrong, ", ")+" changed or gone", "bring it again as it was")
	}
	return slices.Sorted(maps.Keys(sums)), nil
}
