package rows

import (
	"io"
	"os"

	"github.com/trtforge/trtforge/internal/fsx"
)

// WriteFile writes rows to a file, whole or not at all.
func WriteFile(path, createdBy string, all []Row) error {
	return fsx.WriteFile(path, func(w io.Writer) error { return Write(w, createdBy, all) })
}

// ReadFile reads the file that WriteFile wrote.
func ReadFile(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading rows", path, err)
	}
	defer func() { _ = f.Close() }()
	return Read(f, path)
}
