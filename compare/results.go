package compare

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/rows"
)

// The files of a results directory that are compared.
const (
	rowsFile    = "rows.jsonl"
	samplesFile = "samples.jsonl"
	machineFile = "machine.json"
)

// Results are the measurements of one place.
type Results struct {
	Name    string // the path that it was read from
	Rows    []rows.Row
	Samples []bench.Sample // nil where only rows were kept
	Machine *bench.Machine // nil where nobody knows
}

// Read reads a results directory (rows.jsonl or samples.jsonl, machine.json), or one
// file of rows or samples.
func Read(path string) (*Results, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fsx.Explain("reading results", path, err)
	}
	r := &Results{Name: path}
	if !info.IsDir() {
		return r, r.file(path)
	}
	for _, part := range []struct {
		name string
		read func(path string) error
	}{{rowsFile, r.rows}, {samplesFile, r.samples}, {machineFile, r.machine}} {
		if err := part.read(filepath.Join(path, part.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return r, r.complete(path)
}

// complete makes rows of samples where only those are there.
func (r *Results) complete(path string) error {
	if len(r.Rows) == 0 {
		r.Rows = bench.Rows(r.Samples)
	}
	if len(r.Rows) == 0 {
		return fault.New(fault.Input, "reading results", path, "there are no rows and no samples in it",
			"name a directory with rows.jsonl or samples.jsonl, as run, bench and validate leave it")
	}
	seen := map[key]bool{}
	for _, row := range r.Rows {
		k := keyOf(row)
		if seen[k] {
			return fault.New(fault.Input, "reading results", path, fmt.Sprintf("%s is there twice", k),
				"compare one measurement at a time: each from a directory of its own")
		}
		seen[k] = true
	}
	return nil
}

// file reads rows or samples, told apart by the first line's kind.
func (r *Results) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fsx.Explain("reading results", path, err)
	}
	line, _ := bufio.NewReaderSize(f, 64<<10).ReadSlice('\n')
	_ = f.Close()
	// A sample's line begins with its kind, long before any cut.
	if bytes.HasPrefix(bytes.ReplaceAll(line, []byte(" "), nil), []byte(`{"kind":"sample"`)) {
		err = r.samples(path)
	} else {
		err = r.rows(path)
	}
	if err != nil {
		return err
	}
	return r.complete(path)
}

func (r *Results) rows(path string) (err error) {
	return with(path, func(f io.Reader) error {
		r.Rows, err = rows.Read(f, path)
		return err
	})
}

func (r *Results) samples(path string) (err error) {
	return with(path, func(f io.Reader) error {
		r.Samples, err = bench.ReadSamples(f, path)
		return err
	})
}

func (r *Results) machine(path string) (err error) {
	return with(path, func(f io.Reader) error {
		r.Machine, err = bench.ReadMachine(f, path)
		return err
	})
}

func with(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fsx.Explain("reading results", path, err)
	}
	defer func() { _ = f.Close() }()
	return read(f)
}

// Engines are the names of the engines that have rows, in their order.
func (r *Results) Engines() []string {
	var all []string
	for _, row := range r.Rows {
		if !slices.Contains(all, row.Engine) {
			all = append(all, row.Engine)
		}
	}
	return all
}

// of is the results of one engine, under another name.
func (r *Results) of(engine, as string) *Results {
	out := &Results{Name: engine, Machine: r.Machine}
	for _, row := range r.Rows {
		if row.Engine == engine {
			row.Engine = as
			out.Rows = append(out.Rows, row)
		}
	}
	for _, s := range r.Samples {
		if s.Engine == engine {
			s.Engine = as
			out.Samples = append(out.Samples, s)
		}
	}
	return out
}

// shape is what a scenario asks for.
type shape struct {
	batch, prompt, tokens, depth, chunk int
	ragged                              bool
}

func (s shape) String() string {
	text := fmt.Sprintf("%dx%d+%d", s.batch, s.prompt, s.tokens)
	if s.depth > 0 {
		text += fmt.Sprintf(" at depth %d", s.depth)
	}
	if s.chunk > 0 {
		text += fmt.Sprintf(" in chunks of %d", s.chunk)
	}
	if s.ragged {
		text += " with rows of different length"
	}
	return text
}

// shapes are those of each scenario and mode, of its first sample.
func (r *Results) shapes() map[[2]string]shape {
	all := map[[2]string]shape{}
	for _, s := range r.Samples {
		at := [2]string{s.Scenario, string(s.Mode)}
		if _, known := all[at]; !known {
			all[at] = shape{s.Batch, s.PromptTokens, s.NewTokens, s.Depth, s.Chunk, len(s.Lengths) > 0}
		}
	}
	return all
}

// MarshalJSON names the place only: the figures are in the changes.
func (r *Results) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string         `json:"name"`
		Rows    int            `json:"rows"`
		Samples int            `json:"samples"`
		Machine *bench.Machine `json:"machine,omitempty"`
	}{r.Name, len(r.Rows), len(r.Samples), r.Machine})
}
