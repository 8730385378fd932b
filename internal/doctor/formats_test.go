package doctor

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/golden"
)

// The example of docs/formats.md is what `trtforge doctor --json` prints on a
// machine that has nothing.
func TestReportFormat(t *testing.T) {
	want := Examine(t.Context(), bare(t))
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(want); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("..", "..", "docs", "formats", "doctor.json"), got.Bytes())
	var read Report
	d := json.NewDecoder(bytes.NewReader(got.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
