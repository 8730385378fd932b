package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// LoadWorkload reads the [workload] of a TOML file, which may be a pipeline; its
// other tables are not looked at. Paths become relative to the file. Its trace and
// lengths are not opened. What is wrong is an error of class usage.
func LoadWorkload(path string) (profiles.Workload, error) {
	b, err := read(path)
	if err != nil {
		return profiles.Workload{}, err
	}
	var file struct {
		Workload profiles.Workload `toml:"workload"`
	}
	meta, err := toml.NewDecoder(bytes.NewReader(b)).Decode(&file)
	if err != nil {
		var p toml.ParseError
		if errors.As(err, &p) {
			return profiles.Workload{}, fault.New(fault.Usage, "reading workload", fmt.Sprintf("%s:%d", path, p.Position.Line), p.Message, "mend the line")
		}
		return profiles.Workload{}, fault.Wrap(fault.Usage, "reading workload", path, err, "mend the value")
	}
	if !meta.IsDefined("workload") {
		return profiles.Workload{}, fault.New(fault.Usage, "reading workload", path, "it has no table [workload]", "`trtforge run --help` shows one")
	}
	var unknown []toml.Key
	for _, k := range meta.Undecoded() {
		if strings.HasPrefix(k.String(), "workload.") {
			unknown = append(unknown, k)
		}
	}
	if err := errors.Join(unknownKeys(path, b, unknown)...); err != nil {
		return profiles.Workload{}, err
	}
	beside(&file.Workload.Trace, filepath.Dir(path))
	return file.Workload, nil
}

// beside makes a path that a file states relative to the file.
func beside(p *string, dir string) {
	if *p != "" && !filepath.IsAbs(*p) {
		*p = filepath.Join(dir, *p)
	}
}
