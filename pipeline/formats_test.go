package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// formats are where docs/formats.md's examples lie.
var formats = filepath.Join("..", "docs", "formats")

const author = "trtforge 1.0.0"

// a format is a file form as a user of its room sees it.
type format struct {
	file  string                                            // below docs/formats
	write func(dir string) error                            // writes file into dir
	read  func(path string) (again func() error, err error) // reads it; again writes it to the same path
}

// plainly is the reader of a file that nothing reads back but people and
// scripts: every field must be known.
func plainly(path string, v any) (func() error, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return func() error { return fsx.WriteJSON(path, v) }, d.Decode(v)
}

func allFormats() []format {
	join := filepath.Join
	return []format{
		{"report.json",
			func(dir string) error {
				d, err := sampleReport()
				if err != nil {
					return err
				}
				return fsx.WriteJSON(join(dir, report.File), d)
			},
			func(path string) (func() error, error) {
				f, err := os.Open(path)
				if err != nil {
					return nil, err
				}
				defer func() { _ = f.Close() }()
				d, err := report.Parse(f, path)
				return func() error { return fsx.WriteJSON(path, d) }, err
			}},
		{"contract.json",
			func(dir string) error { return sampleContract().Save(join(dir, contractFile)) },
			func(path string) (func() error, error) {
				c, err := contract.Load(path)
				return func() error { return c.Save(path) }, err
			}},
		{"plan.json",
			func(dir string) error {
				p, err := samplePlan()
				if err != nil {
					return err
				}
				return p.Save(join(dir, planFile))
			},
			func(path string) (func() error, error) {
				p, err := profiles.Load(path)
				return func() error { return p.Save(path) }, err
			}},
		{"table.json",
			func(dir string) error {
				t := &calib.Table{Kind: "table", SchemaVersion: calib.SchemaVersion, CreatedBy: author, Model: strings.Repeat("45", 32), Text: strings.Repeat("90", 32),
					Method: "absmax", Samples: 64, Tokens: 4896, Ranges: map[string]calib.Range{"/h.0/ln_1/LayerNormalization_output_0": {Lo: -4.125, Hi: 3.5, Amax: 4.125}}}
				return t.WriteFile(join(dir, tableFile))
			},
			func(path string) (func() error, error) {
				t, err := calib.ReadFile(path)
				return func() error { return t.WriteFile(path) }, err
			}},
		{"observations.json",
			func(dir string) error {
				o, err := sampleObservations()
				if err != nil {
					return err
				}
				return o.WriteFile(join(dir, "observations.json"))
			},
			func(path string) (func() error, error) {
				o, err := calib.ReadObservationsFile(path)
				return func() error { return o.WriteFile(path) }, err
			}},
		{"manifest.json",
			func(dir string) error {
				m, err := sampleManifest()
				if err != nil {
					return err
				}
				return fsx.WriteJSON(join(dir, manifestFile), m)
			},
			func(path string) (func() error, error) {
				m, err := engine.LoadManifest(path)
				return func() error { return fsx.WriteJSON(path, m) }, err
			}},
		{"rows.jsonl",
			func(dir string) error { return rows.WriteFile(join(dir, rowsFile), author, sampleRows()) },
			func(path string) (func() error, error) {
				r, err := rows.ReadFile(path)
				return func() error { return rows.WriteFile(path, author, r) }, err
			}},
		{"bundle/bundle.json",
			func(dir string) error { return sampleBundle(join(dir, "bundle")) },
			func(path string) (func() error, error) {
				b, err := validate.Read(filepath.Dir(path))
				if err != nil {
					return nil, err
				}
				return func() error { return fsx.WriteJSON(path, b.Header) }, b.Close()
			}},
		{"decisions.json",
			func(dir string) error { return sampleDecisions().WriteFile(join(dir, quant.DecisionsFile)) },
			func(path string) (func() error, error) {
				d, err := quant.ReadDecisionsFile(path)
				return func() error { return d.WriteFile(path) }, err
			}},
		{"stage.json",
			func(dir string) error {
				in := map[string]string{"revision": "1", "strategy": "phase", "export/contract.json": strings.Repeat("2b", 32)}
				return fsx.WriteJSON(join(dir, sidecarName), sidecar{Kind: "stage", SchemaVersion: 1, CreatedBy: author, Stage: "profiles", Key: (&stage{name: "profiles"}).key(in), Inputs: in,
					Outputs: map[string]string{planFile: strings.Repeat("f0", 32)}, ElapsedMS: 1.25})
			},
			func(path string) (func() error, error) { return plainly(path, &sidecar{}) }},
		{"summary.json",
			func(dir string) error { return fsx.WriteJSON(join(dir, "summary.json"), sampleSummary()) },
			func(path string) (func() error, error) { return plainly(path, &Result{}) }},
	}
}

// TestFormats holds the examples of docs/formats.md to what is really written,
// and reads them back.
func TestFormats(t *testing.T) {
	for _, f := range allFormats() {
		t.Run(f.file, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f.file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := f.write(dir); err != nil {
				t.Fatal(err)
			}
			if *golden.Update {
				publish(t, dir)
			}
			path := filepath.Join(dir, filepath.FromSlash(f.file))
			example := readFile(t, filepath.Join(formats, filepath.FromSlash(f.file)))
			if diff := cmp.Diff(example, readFile(t, path)); diff != "" {
				t.Errorf("what is written (-golden +written):\n%s", diff)
			}
			again, err := f.read(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := again(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(example, readFile(t, path)); diff != "" {
				t.Errorf("read and written again (-golden +written):\n%s", diff)
			}
		})
	}
}

// publish makes the files below dir the golden ones.
func publish(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(formats, name)
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, []byte(readFile(t, path)), 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exchanged are the files that one program writes and another reads, with their
// versions.
var exchanged = map[string]int{"contract.json": contract.SchemaVersion, "plan.json": profiles.SchemaVersion, "table.json": 1, "observations.json": 1, "manifest.json": 1, "rows.jsonl": 1, "bundle/bundle.json": 1}

func TestNewerVersionsAreRefused(t *testing.T) {
	for _, f := range allFormats() {
		version := exchanged[f.file]
		if version == 0 {
			continue
		}
		path := variant(t, f, fmt.Sprintf(`"schema_version": %d`, version), fmt.Sprintf(`"schema_version": %d`, version+1))
		if _, err := f.read(path); fault.Exit(err) != 4 {
			t.Errorf("%s of a newer version: %v, want exit status 4", f.file, err)
		}
		path = variant(t, f, `"kind": "`, `"kind": "x`)
		if _, err := f.read(path); fault.Exit(err) != 4 {
			t.Errorf("%s of another kind: %v, want exit status 4", f.file, err)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	for _, f := range allFormats() {
		if exchanged[f.file] == 0 {
			continue
		}
		path := variant(t, f, `"created_by"`, `"from_the_future": [1, {"a": null}], "created_by"`)
		again, err := f.read(path)
		if err != nil {
			t.Errorf("%s: %v", f.file, err)
			continue
		}
		if err := again(); err != nil {
			t.Errorf("%s: %v", f.file, err)
			continue
		}
		text := strings.Join(strings.Fields(readFile(t, path)), "")
		if !strings.Contains(text, `"from_the_future":[1,{"a":null}]`) {
			t.Errorf("%s: an unknown field was lost", f.file)
		}
	}
}

// variant is a copy of a golden file, and of what lies beside it, in which every
// from is to.
func variant(t *testing.T, f format, from, to string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(formats)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.FromSlash(f.file))
	text := readFile(t, path)
	if strings.HasSuffix(f.file, ".jsonl") { // one line a row leaves no room for spaces
		from, to = strings.ReplaceAll(from, `": `, `":`), strings.ReplaceAll(to, `": `, `":`)
	}
	if !strings.Contains(text, from) {
		t.Fatalf("%s has no %s", f.file, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPipelineFormat reads the commented pipeline, which `trtforge run --help`
// shows, beside the files that it names.
func TestPipelineFormat(t *testing.T) {
	text := readFile(t, filepath.Join("..", "cmd", "trtforge", "pipeline.toml"))
	golden.Check(t, filepath.Join(formats, "pipeline.toml"), text) // it is also the example of --help
	dir := t.TempDir()
	for name, content := range map[string]string{"pipeline.toml": text, "calibrate.txt": "", "evaluate.txt": "", "held-out.txt": "", "model/config.json": "{}", "reference/bundle.json": "{}", "requests.jsonl": ""} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "pipeline.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Engines) != 2 || len(c.Workload.Scenarios) != 1 || c.Gates["int8"]["ppl_ratio_max"] != 1.1 || c.Run.Precision() != 0.02 || *c.Run.Warmup != 3 || c.Output.Dir != filepath.Join(dir, "build") {
		t.Errorf("read %+v", c)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
