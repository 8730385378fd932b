package report

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

func writeTo(dir string, d Data) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return Write(dir, d)
}

// The page that is made again from the files is the page that was written.
func TestWriteAndReadGiveTheSamePage(t *testing.T) {
	for name, d := range map[string]Data{"sample": sample(), "stress": stress()} {
		dir := t.TempDir()
		if err := Write(dir, d); err != nil {
			t.Fatal(err)
		}
		back, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := HTML(&again, *back); err != nil {
			t.Fatal(err)
		}
		first, err := os.ReadFile(filepath.Join(dir, HTMLFile))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again.Bytes()) {
			t.Errorf("%s: the page made of the files is another one", name)
		}
		if back.Runs[0].Files[RowsFile] == "" {
			t.Errorf("%s: no digest of the rows", name)
		}
	}
}

func TestReadKeepsWhatItDoesNotKnow(t *testing.T) {
	var d Data
	if err := json.Unmarshal([]byte(`{"kind":"report","schema_version":1,"created_by":"x","later":{"a":1},"title":"t","runs":[],"engines":[],"verdicts":[]}`), &d); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	if err != nil || !strings.Contains(string(b), `"later":{"a":1}`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, class := range map[string]int{
		`{"kind":"report","schema_version":99}`:                                  4,
		`{"kind":"rows","schema_version":1}`:                                     4,
		`{"kind":"report","schema_version":1,"runs":3}`:                          4,
		`{"kind":"report","schema_version":1,"engines":[{"name":"a","run":7}]}`:  4,
		`{"kind":"report","schema_version":1,"engines":[{"name":"a","run":-1}]}`: 4,
		`{"kind":"report","schema_version":1,"title":"cut in the mid`:            4,
		``: 4,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); fault.Exit(err) != class {
			t.Errorf("%.60q: %v, want class %d", text, err, class)
		}
	}
	if _, err := Read(t.TempDir()); fault.Exit(err) != 2 || !strings.Contains(err.Error(), "rows.jsonl") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Read(); fault.Exit(err) != 2 {
		t.Error("no directory at all was read")
	}
}

// A benchmark that was killed leaves samples only, and a report can be made of them.
func TestReadOfSamplesAlone(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	one := bench.Sample{Engine: "e", Scenario: "s", Mode: bench.Cached, Batch: 1, PromptTokens: 3, NewTokens: 2, TTFT: 1, E2E: 3, Gaps: []float64{2}}
	if err := bench.WriteSamples(&b, "x", []bench.Sample{one, one}); err != nil {
		t.Fatal(err)
	}
	b.WriteString(`{"kind":"sample","schema_ver`) // it was killed here
	if err := os.WriteFile(filepath.Join(dir, SamplesFile), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Read(dir)
	if err != nil || len(d.Engines) != 1 || d.Engines[0].Name != "e" {
		t.Fatalf("%+v %v", d, err)
	}
	if r, ok := rows.Find(d.Rows, "e", "s", bench.Prefill, bench.TTFT); !ok || r.Value != 1 {
		t.Errorf("%+v", d.Rows)
	}
}

func runOn(cpu string, ttft float64) Data {
	d := Data{Title: "t", CreatedBy: "x", Runs: []Run{{Model: Model{Name: "m", Parameters: 5e6}, Machine: &bench.Machine{CPU: cpu, Threads: 2}}},
		Engines: []Engine{{Name: "ortcpu-fp32"}}, Limits: map[string]gate.Limits{"fp32": {"ttft_max": 100}}}
	d.Engines[0].Manifest.Key, d.Engines[0].Manifest.Backend, d.Engines[0].Manifest.Precision = "k", "ortcpu", "fp32"
	row := func(phase, name string) rows.Row {
		return rows.Row{Engine: "ortcpu-fp32", Scenario: "s", Phase: phase, Name: name, Unit: "ms", Value: ttft, Lo: ttft, Hi: ttft, N: 9}
	}
	d.Rows = []rows.Row{row(bench.Prefill, bench.TTFT), row("", bench.E2E)}
	return d
}

// Two machines are said, kept apart, and never averaged; one engine on one machine
// that two commands measured is one engine.
func TestReadOfSeveral(t *testing.T) {
	at := func(name string, d Data) string {
		dir := filepath.Join(t.TempDir(), name)
		if err := writeTo(dir, d); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	d, err := Read(at("old", runOn("Xeon", 1)), at("new", runOn("EPYC", 5)))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(d.Warnings, "\n")
	if !strings.Contains(text, "different machines") || !strings.Contains(text, "CPU: Xeon and EPYC") {
		t.Errorf("warnings: %s", text)
	}
	for name, value := range map[string]float64{"old/ortcpu-fp32": 1, "new/ortcpu-fp32": 5} {
		if r, ok := rows.Find(d.Rows, name, "s", bench.Prefill, bench.TTFT); !ok || r.Value != value {
			t.Errorf("%s: %+v in %+v", name, r, d.Engines)
		}
	}
	if len(d.Choices) != 2 || d.Choices[0].Group == d.Choices[1].Group {
		t.Errorf("choices across machines: %+v", d.Choices)
	}
	validated := runOn("Xeon", 1)
	validated.Rows = []rows.Row{{Engine: "ortcpu-fp32", Phase: bench.Decode, Name: "ppl_ratio", Value: 1, Lo: 1, Hi: 1}}
	d, err = Read(at("bench", runOn("Xeon", 1)), at("validate", validated))
	if err != nil || len(d.Engines) != 1 || d.Engines[0].Name != "ortcpu-fp32" || len(d.Rows) != 3 || len(d.Warnings) != 0 {
		t.Errorf("%+v %v %v", d.Engines, d.Warnings, err)
	}
	// It may have another name there, unless both were measured, or it stands beside itself.
	validated.Engines[0].Name, validated.Rows[0].Engine = "int8", "int8"
	d, err = Read(at("bench", runOn("Xeon", 1)), at("validate", validated))
	if _, ok := rows.Find(d.Rows, "ortcpu-fp32", "", bench.Decode, "ppl_ratio"); err != nil || !ok || len(d.Engines) != 1 || len(d.Warnings) != 1 ||
		!strings.Contains(d.Warnings[0], "int8 of validate is ortcpu-fp32") {
		t.Errorf("another name: %+v %+v %q %v", d.Engines, d.Rows, d.Warnings, err)
	}
	again := runOn("Xeon", 2)
	again.Engines[0].Name, again.Rows[0].Engine, again.Rows[1].Engine = "b", "b", "b"
	if d, err = Read(at("one", runOn("Xeon", 1)), at("two", again)); err != nil || len(d.Engines) != 2 {
		t.Errorf("measured twice under two names: %+v %v", d.Engines, err)
	}
	beside := validated
	beside.Engines = append(beside.Engines[:1:1], validated.Engines[0])
	beside.Engines[1].Name = "c"
	if d, err = Read(at("bench", runOn("Xeon", 1)), at("validate", beside)); err != nil || len(d.Engines) != 3 {
		t.Errorf("beside itself: %+v %v", d.Engines, err)
	}
	d, err = Read(at("one", runOn("Xeon", 1)), at("two", runOn("Xeon", 2)))
	if r, _ := rows.Find(d.Rows, "ortcpu-fp32", "s", bench.Prefill, bench.TTFT); err != nil || r.Value != 1 || len(d.Warnings) != 1 {
		t.Errorf("measured twice: %+v %v %v", r, d.Warnings, err)
	}
}

// The study's nine models: its crossing lies at 76 million parameters, in 56 to 120.
func TestCrossoverOfTheStudy(t *testing.T) {
	d := scaling(t)
	_, said := d.crossover()
	if len(said) != 1 || !strings.Contains(said[0], "ortcpu-fp32 is faster than pytorch-fp32 below 76") || !strings.Contains(said[0], "−0.506") {
		t.Errorf("%q", said)
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	d := sample()
	for i := range d.Rows {
		d.Rows[i].Value, d.Rows[i].Hi = math.NaN(), math.Inf(1)
	}
	d.Judge()
	dir := t.TempDir()
	if err := Write(dir, d); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	b, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"kind":"report","schema_version":1,"runs":[{}],"engines":[{"name":"a"}],"calibration":{},"quantized":[{}],"matrix":{"lines":[{"cells":[{}]}]},"recommendation":[{"engine":"a"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(bytes.NewReader(b), "report.json")
		if err != nil {
			if fault.Exit(err) != 4 {
				t.Errorf("%v is of another class than input", err)
			}
			return
		}
		d.Judge()
		var out bytes.Buffer
		if err := HTML(&out, *d); err != nil {
			t.Error(err)
		}
	})
}
