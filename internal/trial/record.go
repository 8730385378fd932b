package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// The files of a results directory.
const (
	RowsFile    = "rows.jsonl"
	SamplesFile = "samples.jsonl"
	MachineFile = "machine.json"
	RequestFile = "bench.json"
)

// RequestVersion is the version of bench.json that this program writes and the
// newest that it reads.
const RequestVersion = 1

// maxRequest bounds an untrusted bench.json.
const maxRequest = 16 << 20

// request is bench.json: what the samples beside it are samples of, by name.
type request struct {
	Kind          string            `json:"kind"` // "bench"
	SchemaVersion int               `json:"schema_version"`
	CreatedBy     string            `json:"created_by"`
	Inputs        map[string]string `json:"inputs"`
}

// record is a results directory that fills; one without a directory keeps nothing.
type record struct {
	t       *Trial
	dir     string
	file    *os.File
	unlock  func()
	samples []bench.Sample // of earlier runs
}

// inputs is what makes a trial the same one.
func (t *Trial) inputs() map[string]string {
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	in := map[string]string{
		"repetitions": fmt.Sprint(t.Repetitions), "rounds": fmt.Sprint(t.Rounds), "until": fmt.Sprint(t.Until), "most": fmt.Sprint(t.Most),
		"warmup": encode(t.Warmup), "seed": fmt.Sprint(t.Seed), "text": validate.IDsDigest(t.Text), "timeout": t.Timeout.String(),
	}
	for _, s := range t.Systems {
		in["engine "+s.Name] = fmt.Sprintf("%s threads %d", s.Key, s.Model.Threads)
	}
	for _, c := range t.Cases {
		in["scenario "+c.Key()] = encode(c)
	}
	return in
}

// open opens the results directory, with what an earlier run of the same trial left
// in it. Another trial's is refused as class usage.
func (t *Trial) open() (*record, error) {
	r := &record{t: t, dir: t.Dir}
	if t.Dir == "" {
		return r, nil
	}
	if err := fsx.MkdirAll(t.Dir); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(filepath.Join(t.Dir, ".lock"))
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, fault.New(fault.Runtime, "locking", t.Dir, "another benchmark writes there", "wait for it, or choose another directory")
	}
	r.unlock = lock.Unlock
	if err := r.begin(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// begin finds out whether the directory is this trial's, and opens its samples.
func (r *record) begin() error {
	if err := fsx.Sweep(r.dir); err != nil {
		return err
	}
	why, err := r.foreign()
	if err != nil {
		return err
	}
	if why != "" {
		if !r.t.Afresh {
			return fault.New(fault.Usage, "benchmarking into", r.dir, why, "choose another directory, or remove that one")
		}
		for _, name := range []string{RequestFile, SamplesFile, RowsFile, MachineFile} {
			if err := os.Remove(r.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fsx.Explain("replacing", r.path(name), err)
			}
		}
	}
	if err := fsx.WriteJSON(r.path(RequestFile), request{Kind: "bench", SchemaVersion: RequestVersion, CreatedBy: r.t.CreatedBy, Inputs: r.t.inputs()}); err != nil {
		return err
	}
	return r.resume()
}

// foreign says why what the directory holds is not this trial's; "" where it is, or
// where there is nothing.
func (r *record) foreign() (why string, err error) {
	old, err := readRequest(r.path(RequestFile))
	switch in := r.t.inputs(); {
	case errors.Is(err, fs.ErrNotExist):
		for _, name := range []string{SamplesFile, RowsFile} {
			if r.holds(name) {
				return fmt.Sprintf("it holds a %s and no %s: the figures are not those of a benchmark", name, RequestFile), nil
			}
		}
		return "", nil
	case err != nil:
		return "", err
	case !maps.Equal(old.Inputs, in):
		return "it holds the figures of another benchmark: " + differs(old.Inputs, in), nil
	case !r.holds(SamplesFile):
		return "", nil
	}
	f, err := os.Open(r.path(MachineFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fsx.Explain("reading the machine", r.path(MachineFile), err)
	}
	defer func() { _ = f.Close() }()
	m, err := bench.ReadMachine(f, f.Name())
	if err != nil {
		return "", err
	}
	// Samples of two machines in one median would be nobody's.
	if differ := m.Differs(&r.t.out.Machine); len(differ) > 0 {
		return "its samples were taken on another machine: " + listed(differ), nil
	}
	return "", nil
}

// holds tells whether the directory has a file that is not empty.
func (r *record) holds(name string) bool {
	info, err := os.Stat(r.path(name))
	return err == nil && info.Size() > 0
}

// resume reads the samples that are there and drops what is not whole: a line that
// was cut off, and the turn that it belongs to.
func (r *record) resume() error {
	path := r.path(SamplesFile)
	if b, err := os.Open(path); err == nil {
		all, _, err := bench.RecoverSamples(b, path)
		_ = b.Close()
		if err != nil {
			return err
		}
		r.samples = r.whole(all)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fsx.Explain("reading samples", path, err)
	}
	if err := fsx.WriteFile(path, func(w io.Writer) error { return bench.WriteSamples(w, r.t.CreatedBy, r.samples) }); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	r.file = f
	return fsx.Explain("writing samples", path, err)
}

// whole leaves out the last turn where it has fewer samples than it was to give.
func (r *record) whole(all []bench.Sample) []bench.Sample {
	if len(all) == 0 {
		return nil
	}
	last := all[len(all)-1]
	from := len(all)
	for from > 0 && sameTurn(all[from-1], last) {
		from--
	}
	for _, turn := range r.t.turns() {
		c := r.t.Cases[turn.Case]
		if turn.Engine == last.Engine && turn.Round == last.Round && c.Has(last) && len(all)-from < turn.Repetitions && last.Failure == nil {
			return all[:from]
		}
	}
	return all
}

func sameTurn(a, b bench.Sample) bool {
	return a.Engine == b.Engine && a.Round == b.Round && a.Scenario == b.Scenario && a.Mode == b.Mode
}

// has tells whether a turn was taken in an earlier run.
func (r *record) has(turn bench.Turn, c bench.Case) bool {
	return slices.ContainsFunc(r.samples, func(s bench.Sample) bool {
		return s.Engine == turn.Engine && s.Round == turn.Round && c.Has(s)
	})
}

// append keeps the samples of a turn.
func (r *record) append(samples []bench.Sample) error {
	if r.file == nil {
		return nil
	}
	var b bytes.Buffer
	if err := bench.WriteSamples(&b, r.t.CreatedBy, samples); err != nil {
		return err
	}
	_, err := r.file.Write(b.Bytes())
	return fsx.Explain("writing samples", r.file.Name(), err)
}

func (r *record) machine(m bench.Machine) error {
	if r.dir == "" {
		return nil
	}
	return fsx.WriteJSON(r.path(MachineFile), m)
}

func (r *record) rows(all []rows.Row) error {
	if r.dir == "" {
		return nil
	}
	return rows.WriteFile(r.path(RowsFile), r.t.CreatedBy, all)
}

func (r *record) path(name string) string { return filepath.Join(r.dir, name) }

func (r *record) close() {
	if r.file != nil {
		_ = r.file.Close() // each turn was written already
	}
	if r.unlock != nil {
		r.unlock()
	}
}

func readRequest(path string) (*request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading the benchmark", path, err)
	}
	defer func() { _ = f.Close() }()
	file := keep.File{Doing: "reading the benchmark", Path: path, Kind: "bench", Version: RequestVersion, Max: maxRequest, Fix: "remove the directory"}
	b, err := file.Read(f)
	if err != nil {
		return nil, err
	}
	r := &request{}
	return r, file.Bad(keep.Explain(json.Unmarshal(b, r)))
}

// differs names what two trials do not share, at most three of it.
func differs(old, now map[string]string) string {
	names := maps.Clone(old)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, now)
	var all []string
	for _, k := range slices.Sorted(maps.Keys(names)) {
		before, had := old[k]
		after, has := now[k]
		switch {
		case !had:
			all = append(all, k+" is new")
		case !has:
			all = append(all, k+" is gone")
		case before != after && len(before)+len(after) < 80:
			all = append(all, fmt.Sprintf("%s was %s, is %s", k, before, after))
		case before != after:
			all = append(all, k+" changed")
		}
	}
	return listed(all)
}

// listed is at most three facts and how many more there are.
func listed(all []string) string {
	if len(all) > 3 {
		all = append(slices.Clone(all[:3]), fmt.Sprintf("and %d more", len(all)-3))
	}
	return strings.Join(all, "; ")
}
