package testenv

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// DemoText is a part ("train", "calibrate", "evaluate") of the text that the
// demo model was made with, out of the Go installation that runs the test.
func DemoText(t testing.TB, part string) []byte {
	t.Helper()
	record, err := os.ReadFile(filepath.Join(Root(t), "examples", "demo", "split", "split.json"))
	if err != nil {
		t.Fatal(err)
	}
	var split struct {
		File  string
		Parts map[string]struct{ Begin, End int }
	}
	if err := json.Unmarshal(record, &split); err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(goroot)), "src", "testdata", split.File))
	if err != nil {
		Lacking(t, "data", "this Go installation lacks src/testdata/"+split.File)
	}
	return text[split.Parts[part].Begin:split.Parts[part].End]
}
