package calib

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() *Table {
	return &Table{Kind: "table", SchemaVersion: 1, CreatedBy: "trtforge test", Model: "ab", Text: "cd", Method: "percentile:99.99",
		Samples: 32, Tokens: 2304, Ranges: map[string]Range{
			"/h.0/ln_1/LayerNormalization_output_0": {Lo: -4.25, Hi: 3.1, Amax: 4.125},
			"/h.0/mlp/Gelu_output_0":                {Lo: -0.17, Hi: 11, Amax: 9.5},
		}}
}

func TestTableGolden(t *testing.T) {
	golden := filepath.Join("testdata", "table.json")
	path := filepath.Join(t.TempDir(), "table.json")
	if *update {
		path = golden
	}
	if err := sample().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
	back, err := ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), back, cmpopts.IgnoreUnexported(Table{})); d != "" {
		t.Error(d)
	}
}

func TestTableKeepsUnknownFields(t *testing.T) {
	in := `{"kind":"table","schema_version":1,"created_by":"x","model":"","text":"","method":"absmax","samples":0,"tokens":0,"ranges":{},"channels":{"a":[1,2]}}`
	table, err := Read(strings.NewReader(in), "t")
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(table)
	if err != nil || string(out) != in {
		t.Errorf("%s, %v, want %s", out, err, in)
	}
}

func TestTableRefusals(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"not JSON":     {`TRT-100-EntropyCalibration2`, "it is no JSON"},
		"other kind":   {`{"kind":"plan","schema_version":1}`, `kind is "plan"`},
		"newer":        {`{"kind":"table","schema_version":9}`, "version is 9"},
		"no version":   {`{"kind":"table"}`, "version is 0"},
		"lo above hi":  {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":2,"hi":1,"amax":2},"y":{"lo":0,"hi":1,"amax":-1}}}`, "\"y\": amax -1 is negative"},
		"beyond all":   {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":-2,"hi":1,"amax":1e30}}}`, "amax 1e+30 is above all that was seen"},
		"a text":       {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":"-2","hi":1,"amax":1}}}`, "lo\" wants a number"},
		"channels":     {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":0,"hi":1,"amax":1,"channels":{"lo":[0],"hi":[1,1],"rms":[1]}}}}`, "1, 2 and 1 channels"},
		"channel":      {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":0,"hi":1,"amax":1,"channels":{"lo":[2],"hi":[1],"rms":[1]}}}}`, "channel 0"},
		"beyond float": {`{"kind":"table","schema_version":1,"ranges":{"x":{"lo":0,"hi":1e39,"amax":1}}}`, "1e39"},
	} {
		_, err := Read(strings.NewReader(c.in), "t.json")
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "t.json") {
			t.Errorf("%s: %v, want an input error with %q", name, err, c.want)
		}
	}
	if err := sample().Fits("ef"); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "ef") {
		t.Errorf("another model: %v", err)
	}
}

func TestTableServes(t *testing.T) {
	s := sample()
	s.Ranges["zero"], s.Ranges["bad"] = Range{}, Range{Lo: 2, Hi: 1}
	const good = "/h.0/mlp/Gelu_output_0"
	if err := s.Serves("ab", []string{good}); err != nil {
		t.Error(err)
	}
	err := s.Serves("ef", []string{good, "absent", "zero", "bad"})
	if fault.Classify(err) != fault.Input {
		t.Fatalf("%v, want an input error", err)
	}
	for _, want := range []string{"model ab", "is ef", "absent: the table does not have it", "zero: its range is zero", "bad: lo 2 is above hi 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	b, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"kind":"table","schema_version":1,"ranges":null,"x":{}}`))
	f.Add([]byte(`{"kind":"table","schema_version":1,"ranges":{"":{"lo":-0,"hi":0,"amax":0}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Read(bytes.NewReader(b), "fuzz")
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Fatalf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		out, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(out), "again")
		if err != nil {
			t.Fatalf("%s is not read again: %v", out, err)
		}
		twice, err := json.Marshal(again)
		if err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%s became %s: %v", out, twice, err)
		}
	})
}
