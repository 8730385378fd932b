package tableio

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// entry is a tensor with its magnitude, as testdata/oracle.py prints it.
type entry struct {
	name string
	amax float64
}

func (e *entry) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&e.name, &e.amax}) }

// ask runs testdata/oracle.py.
func ask(t *testing.T, stdin string, args ...string) []entry {
	t.Helper()
	c := exec.Command(testenv.Python(t, "oracle"), append([]string{filepath.Join("testdata", "oracle.py")}, args...)...)
	c.Stdin, c.Stderr = strings.NewReader(stdin), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return all
}

// TestOthersReadOurTables has ONNX Runtime's own FlatBuffers reader, and an
// independent reading of TensorRT's rules, read what we write: the same names, in
// order, and bit for bit the magnitude that our own reader gives.
func TestOthersReadOurTables(t *testing.T) {
	for f, how := range map[Form]string{ORT: "read-ort", TRT: "read-trt"} {
		path := filepath.Join(t.TempDir(), "table")
		if err := WriteFile(path, sample(), f, Options{TRT: Version{10, 13, 3}}); err != nil {
			t.Fatal(err)
		}
		theirs := ask(t, "", how, path)
		ours, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range theirs {
			names = append(names, e.name)
			if got := ours.Table.Ranges[e.name].Amax; float64(got) != e.amax {
				t.Errorf("%s: %q is %v to them, %v to us", f, e.name, e.amax, got)
			}
			if want := sample().Ranges[e.name].Amax; f == ORT && float64(want) != e.amax || ulps(float32(e.amax), want) > 1 {
				t.Errorf("%s: %q is %v to them, want %v", f, e.name, e.amax, want)
			}
		}
		if want := slices.Sorted(maps.Keys(sample().Ranges)); !slices.Equal(names, want) {
			t.Errorf("%s: they read %q, want %q", f, names, want)
		}
	}
}

// TestWeReadOnnxRuntimesTables reads the three files that ONNX Runtime's
// write_calibration_table makes. The FlatBuffer and the text have max(highest,
// lowest), the JSON has both sides.
func TestWeReadOnnxRuntimesTables(t *testing.T) {
	dir := t.TempDir()
	ask(t, `{"a": [-1.5, 4.25], "b c": [0, 1e-5], "z:0": [-3, 0.1]}`, "write-ort", dir)
	upper := map[string]float32{"a": 4.25, "b c": 1e-5, "z:0": 0.1}
	both := map[string]float32{"a": 4.25, "b c": 1e-5, "z:0": 3}
	for file, c := range map[string]struct {
		form Form
		want map[string]float32
	}{
		"calibration.flatbuffers": {ORT, upper},
		"calibration.cache":       {ORTText, upper},
		"calibration.json":        {ORTJSON, both},
	} {
		in, err := ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		got := map[string]float32{}
		for name, r := range in.Table.Ranges {
			got[name] = r.Amax
		}
		if in.Form != c.form || !maps.Equal(got, c.want) {
			t.Errorf("%s: %s, %v, want %v", file, in.Form, got, c.want)
		}
	}
	if *update { // a seed of the fuzz target that another program wrote
		b, err := os.ReadFile(filepath.Join(dir, "calibration.flatbuffers"))
		if err == nil {
			err = os.WriteFile(filepath.Join("testdata", "ort.flatbuffers"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
