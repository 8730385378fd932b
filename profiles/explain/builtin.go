package explain

import (
	"embed"
	"io/fs"
	"sync"
)

//go:embed patterns/*.toml
var files embed.FS

// Patterns are those that this program carries. They are read at the first call:
// most commands never need them.
var Patterns = sync.OnceValues(func() ([]*Pattern, error) {
	dir, err := fs.Sub(files, "patterns")
	if err != nil {
		return nil, err
	}
	return Load(dir)
})

// carried is the scanner of those.
var carried = sync.OnceValues(func() (*Scanner, error) {
	all, err := Patterns()
	if err != nil {
		return nil, err
	}
	return NewScanner(all), nil
})
