package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// write puts files into a directory of their own.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// written are the files of a run.
func written(t testing.TB, r run) map[string]string {
	t.Helper()
	var all, samples bytes.Buffer
	if err := rows.Write(&all, "test", bench.Rows(r.samples())); err != nil {
		t.Fatal(err)
	}
	if err := bench.WriteSamples(&samples, "test", r.samples()); err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(machine("X"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{rowsFile: all.String(), samplesFile: samples.String(), machineFile: string(m)}
}

func TestRead(t *testing.T) {
	r := run{seed: 1, rounds: 2, requests: 2, slower: 1, engines: both}
	files := written(t, r)
	dir := write(t, files)
	got, err := Read(dir)
	if err != nil || len(got.Samples) != 8 || got.Machine == nil || got.Machine.CPU != "X" || len(got.Engines()) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	whole := len(got.Rows)
	for _, name := range []string{rowsFile, samplesFile} {
		got, err := Read(filepath.Join(dir, name))
		if err != nil || len(got.Rows) != whole {
			t.Errorf("%s alone: %d rows, want %d (%v)", name, len(got.Rows), whole, err)
		}
	}
	delete(files, rowsFile)
	if got, err := Read(write(t, files)); err != nil || len(got.Rows) != whole {
		t.Errorf("without rows: %d rows, want %d (%v)", len(got.Rows), whole, err)
	}
}

func TestReadRefuses(t *testing.T) {
	r := run{seed: 1, rounds: 1, requests: 1, slower: 1, engines: both}
	for name, c := range map[string]struct {
		change func(files map[string]string)
		want   string
	}{
		"nothing":        {func(f map[string]string) { clear(f) }, "no rows and no samples"},
		"cut rows":       {func(f map[string]string) { f[rowsFile] = f[rowsFile][:len(f[rowsFile])-20] }, "rows.jsonl:"},
		"cut samples":    {func(f map[string]string) { f[samplesFile] = f[samplesFile][:len(f[samplesFile])-20] }, "samples.jsonl:2"},
		"another schema": {func(f map[string]string) { f[rowsFile] = `{"kind":"plan","schema_version":1}` }, `kind "plan"`},
		"a newer one":    {func(f map[string]string) { f[machineFile] = `{"kind":"machine","schema_version":99}` }, "99"},
		"twice":          {func(f map[string]string) { f[rowsFile] += f[rowsFile] }, "is there twice"},
	} {
		files := written(t, r)
		c.change(files)
		_, err := Read(write(t, files))
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

// Whatever two files hold, they are refused or compared.
func FuzzCompare(f *testing.F) {
	r := run{seed: 1, rounds: 2, requests: 1, slower: 1, engines: both[:1]}
	files := written(f, r)
	f.Add([]byte(files[rowsFile]), []byte(files[samplesFile]))
	f.Add([]byte(`{"kind":"row","schema_version":1,"engine":"e","name":"tpot","unit":"ms","value":"NaN","lo":"-Inf","hi":"+Inf","n":0,"samples":[0,"NaN",-1]}`), []byte(files[rowsFile]))
	f.Add([]byte(`{"kind":"row","schema_version":1,"engine":"e","name":"kl","unit":"nats","value":0,"lo":1,"hi":-1,"n":-5}`), []byte(`{"kind":"row","schema_version":1,"engine":"e","name":"kl","unit":"nats","value":1e308,"lo":-1e308,"hi":1e308,"n":1}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > 4<<10 { // bootstraps take their time
			return
		}
		dir := write(t, map[string]string{"a": string(a), "b": string(b)})
		old, err := Read(filepath.Join(dir, "a"))
		if err != nil {
			return
		}
		now, err := Read(filepath.Join(dir, "b"))
		if err != nil {
			return
		}
		c, err := Runs(old, now, Options{})
		if err != nil {
			t.Fatal(err)
		}
		broken := Limits{{Figure: "*", Share: 0.1}}.Broken(c)
		for _, form := range Forms() {
			if err := c.Write(&bytes.Buffer{}, form, broken); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := json.Marshal(c); err != nil {
			t.Fatal(err)
		}
		for _, one := range c.Changes {
			if one.Class == "" {
				t.Errorf("%s has no class", one.Label())
			}
		}
	})
}
