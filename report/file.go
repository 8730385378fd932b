package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/rows"
)

// SchemaVersion is the version of report.json that this program writes and the
// newest that it reads.
const SchemaVersion = 1

// The files of a results directory.
const (
	File         = "report.json"
	RowsFile     = "rows.jsonl"
	SamplesFile  = "samples.jsonl"
	MachineFile  = "machine.json"
	HTMLFile     = "report.html"
	MarkdownFile = "report.md"
)

// maxReport bounds an untrusted report.json: a plan of a million shapes.
const maxReport = 256 << 20

type plainData Data

// UnmarshalJSON keeps the fields that this program does not know.
func (d *Data) UnmarshalJSON(b []byte) (err error) {
	d.extra, err = keep.Unmarshal(b, (*plainData)(d))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (d Data) MarshalJSON() ([]byte, error) {
	d.Kind, d.SchemaVersion = "report", SchemaVersion
	return keep.Marshal(plainData(d), d.extra)
}

// Write writes the data into a results directory: rows.jsonl, report.json,
// report.html and report.md. The directory must exist.
func Write(dir string, d Data) error {
	if err := rows.WriteFile(filepath.Join(dir, RowsFile), d.CreatedBy, d.Rows); err != nil {
		return err
	}
	if len(d.Runs) == 1 {
		digest, err := fsx.Digest(filepath.Join(dir, RowsFile))
		if err != nil {
			return err
		}
		run := d.Runs[0]
		run.Files = map[string]string{RowsFile: digest}
		d.Runs = []Run{run}
	}
	if err := fsx.WriteJSON(filepath.Join(dir, File), d); err != nil {
		return err
	}
	if err := Render(filepath.Join(dir, HTMLFile), d, HTML); err != nil {
		return err
	}
	return Render(filepath.Join(dir, MarkdownFile), d, Markdown)
}

// Render writes a page whole or not at all.
func Render(path string, d Data, page func(io.Writer, Data) error) error {
	var b bytes.Buffer
	if err := page(&b, d); err != nil {
		return fmt.Errorf("rendering %s: %w", filepath.Base(path), err)
	}
	return fsx.WriteFile(path, func(w io.Writer) error {
		_, err := b.WriteTo(w)
		return err
	})
}

// Read reads results directories, one or several, and judges what they hold
// together. Engines and scenarios that have one name and are not the same get
// their directory's in front; figures of different machines are kept apart, and
// the data's warnings say so. A directory that a benchmark alone left has no
// report.json: then its rows, or its samples, are all.
func Read(dirs ...string) (*Data, error) {
	if len(dirs) == 0 {
		return nil, fault.New(fault.Usage, "reading results", "", "no directory is given", "name the directory that `trtforge run` or `bench` wrote")
	}
	var all []*Data
	var errs []error
	for _, dir := range dirs {
		d, err := readDir(dir)
		all, errs = append(all, d), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	d := merge(all, runNames(dirs))
	d.Judge()
	return d, nil
}

// readDir reads one results directory.
func readDir(dir string) (*Data, error) {
	d, err := readReport(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	if d.Rows, err = readRows(dir); err != nil {
		return nil, err
	}
	if d.Kind == "" && d.Rows == nil {
		return nil, fault.New(fault.Usage, "reading results", dir, fmt.Sprintf("it has none of %s, %s and %s", File, RowsFile, SamplesFile),
			"name the directory that `trtforge run`, `bench` or `validate` wrote")
	}
	if len(d.Runs) == 0 {
		d.Runs = []Run{{}}
	}
	m, err := readMachine(filepath.Join(dir, MachineFile))
	if err != nil {
		return nil, err
	}
	for i := range d.Runs {
		if m != nil && (len(d.Runs) == 1 || d.Runs[i].Machine == nil) {
			d.Runs[i].Machine = m
		}
	}
	d.nameEngines()
	return d, nil
}

// nameEngines gives those engines that only rows know an entry.
func (d *Data) nameEngines() {
	known := map[string]bool{"": true}
	for _, e := range d.Engines {
		known[e.Name] = true
	}
	for _, r := range d.Rows {
		if !known[r.Engine] && !isNoise(r.Engine) {
			known[r.Engine] = true
			d.Engines = append(d.Engines, Engine{Name: r.Engine})
		}
	}
}

// readReport reads report.json; without one the data are empty.
func readReport(path string) (*Data, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return &Data{}, nil
	}
	if err != nil {
		return nil, fsx.Explain("reading the report", path, err)
	}
	defer func() { _ = f.Close() }()
	return Parse(f, path)
}

// Parse reads a report.json; path names it in errors, which are of class input.
// The rows lie beside it and are not read.
func Parse(r io.Reader, path string) (*Data, error) {
	file := keep.File{Doing: "reading the report", Path: path, Kind: "report", Version: SchemaVersion, Max: maxReport, Fix: "run again what made it"}
	b, err := file.Read(r)
	if err != nil {
		return nil, err
	}
	d := &Data{}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, file.Bad(keep.Explain(err))
	}
	for _, e := range d.Engines {
		if e.Run < 0 || e.Run >= max(len(d.Runs), 1) {
			return nil, file.Bad(fmt.Errorf("engine %q is of run %d, and there are %d", e.Name, e.Run, len(d.Runs)))
		}
	}
	return d, nil
}

// readRows are the rows of a directory, or those of its samples where a benchmark
// did not come to an end; nil where it has neither.
func readRows(dir string) ([]rows.Row, error) {
	all, err := rows.ReadFile(filepath.Join(dir, RowsFile))
	if !errors.Is(err, os.ErrNotExist) {
		return all, err
	}
	path := filepath.Join(dir, SamplesFile)
	s, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fsx.Explain("reading samples", path, err)
	}
	defer func() { _ = s.Close() }()
	samples, _, err := bench.RecoverSamples(s, path)
	if err != nil {
		return nil, err
	}
	return bench.Rows(samples), nil
}

// readMachine reads machine.json; nil without one.
func readMachine(path string) (*bench.Machine, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fsx.Explain("reading the machine", path, err)
	}
	defer func() { _ = f.Close() }()
	return bench.ReadMachine(f, path)
}
