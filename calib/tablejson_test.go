package calib

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestTableListsAreFlat(t *testing.T) {
	in := `{"kind":"table","schema_version":1,"created_by":"a [1,\n2] \"b","model":"","text":"","method":"absmax","samples":0,"tokens":0,` +
		`"ranges":{"x[0]\\":{"lo":-1,"hi":2.5e-7,"amax":1,"channels":{"lo":[-1,-0.5],"hi":[1e-7,2],"rms":[0,1]}}},"later":[["a",1],[],[1,2,3],[{"y":[4,5]}]]}`
	table, err := Read(strings.NewReader(in), "t")
	if err != nil {
		t.Fatal(err)
	}
	out, err := table.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"lo": [-1, -0.5],`, `"hi": [1e-7, 2],`, "[1, 2, 3]", `"y": [4, 5]`, "\"a\",\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, out); err != nil || compact.String() != in {
		t.Errorf("%v: %s, want\n%s", err, compact.String(), in)
	}
	again, err := Read(bytes.NewReader(out), "again")
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := again.JSON(); err != nil || !bytes.Equal(out, twice) {
		t.Errorf("%v: written again it is\n%s", err, twice)
	}
}
