package keep

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// What is not the file that is wanted is refused as class input, for what is wrong.
func TestFileRefuses(t *testing.T) {
	f := File{Doing: "reading the thing", Path: "x.json", Kind: "thing", Version: 2, Max: 60, Fix: "make it again"}
	for in, want := range map[string]string{
		``:                                       "its JSON ends too early",
		`no`:                                     "it is no JSON",
		`{}`:                                     `its kind is "", not "thing"`,
		`{"kind":7}`:                             `field "kind" wants a text`,
		`{"kind":"other","schema_version":1}`:    `its kind is "other"`,
		`{"kind":"thing"}`:                       "its version is 0",
		`{"kind":"thing","schema_version":3}`:    "its version is 3, this program reads up to 2",
		`{"kind":"thing","schema_version":1} {}`: "it is no JSON",
		`{"kind":"thing","schema_version":1,"more":"` + strings.Repeat("x", 60) + `"}`: "larger than 60 bytes",
	} {
		_, err := f.Read(strings.NewReader(in))
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	if _, err := f.Read(dir); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "it is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if b, err := f.Read(strings.NewReader(`{"kind":"thing","schema_version":2}`)); err != nil || len(b) == 0 {
		t.Error(err)
	}
	if f.Bad(nil) != nil || !errors.Is(f.Bad(os.ErrClosed), os.ErrClosed) {
		t.Error("Bad changed what it was given")
	}
}
