package text

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	for in, want := range map[string]string{"naïve\n": "naïve\n", "\uFEFFmark": "mark", "\uFFFD is a character": "\uFFFD is a character"} {
		if got, err := Read(file(t, in)); err != nil || got != want {
			t.Errorf("%q gave %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"one\ntwo na\xefve":        "byte 10, in line 2, is 0xef",
		"cut short \xe2\x82":       "byte 10, in line 1",
		"\xff\xfeh\x00e\x00":       "UTF-16",
		"a\x00b":                   "byte 1 is zero",
		"":                         "no text",
		" \n\uFEFF"[:2]:            "no text",
		"overlong \xc0\x80 is bad": "byte 9",
	} {
		_, err := Read(file(t, in))
		if fault.Classify(err) != fault.Input || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(err.Error(), "file.txt") {
			t.Errorf("%q: %v, want an input error with %q", in, err, want)
		}
	}
	for _, path := range []string{"absent", t.TempDir()} {
		if _, err := Read(path); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestIDs(t *testing.T) {
	for in, want := range map[string][]int64{"1 2\n3": {1, 2, 3}, "[1, 20,\n300]\n": {1, 20, 300}} {
		if got, err := IDs(file(t, in)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q gave %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{"1 two": `number 2, "two"`, "1 -2": `"-2"`, "1.5": "1.5", "": "no token ids", "[]": "no token ids", "99999999999999999999": "number 1"} {
		if _, err := IDs(file(t, in)); fault.Classify(err) != fault.Input || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want an input error with %q", in, err, want)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("[1, 2]")
	f.Add("1\t2\r\n")
	f.Add("-1 1e3 \xff")
	f.Fuzz(func(t *testing.T, in string) {
		path := file(t, in)
		if ids, err := IDs(path); err == nil && (len(ids) == 0 || slices.Min(ids) < 0) {
			t.Fatalf("%q gave %v", in, ids)
		}
		if got, err := Read(path); err == nil && (got == "" || strings.ToValidUTF8(got, "") != got) {
			t.Fatalf("%q gave %q", in, got)
		}
	})
}
