package explain

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDerivedFields(t *testing.T) {
	for _, c := range []struct{ in, want map[string]string }{
		{map[string]string{"dims": "4x27", "min": "1x8", "max": "1x32"}, map[string]string{"axis": "0", "size": "4", "lo": "1", "hi": "1", "end": "max", "allowed": "1 only"}},
		{map[string]string{"dims": "1x7", "min": "1x8", "max": "1x32"}, map[string]string{"axis": "1", "size": "7", "lo": "8", "hi": "32", "end": "min", "allowed": "8 to 32"}},
		{map[string]string{"dims": "1x16", "min": "1x8", "max": "1x32"}, map[string]string{}},
		{map[string]string{"dims": "1x8x2", "min": "1x8", "max": "1x32"}, map[string]string{}},
		{map[string]string{"dims": "4x27", "expected": "-1x26"}, map[string]string{"axis": "1", "size": "27", "want": "26"}},
		{map[string]string{"dims": "4x27", "expected": "-1x-1"}, map[string]string{}},
		{map[string]string{"index": "2", "size": "5", "lo": "6", "hi": "9"}, map[string]string{"axis": "2", "end": "min", "allowed": "6 to 9"}},
		{map[string]string{"dims": "99999999999999999999", "min": "1", "max": "2"}, map[string]string{}},
		{map[string]string{"dims": "4x19/4x27", "min": "1x8", "max": "1x32"}, map[string]string{"axis": "0", "size": "4", "lo": "1", "hi": "1", "end": "max", "allowed": "1 only"}},
	} {
		got := map[string]string{}
		for k, v := range c.in {
			got[k] = v
		}
		derive(got)
		for k := range c.in {
			delete(got, k)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%v:\n%s", c.in, d)
		}
	}
}

func TestNormal(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"dims", "[4, 27]", "4x27"}, {"dims", "(-1,3)", "-1x3"}, {"dims", "4x19/4x27", "4x19/4x27"}, {"dims", "[]", ""},
		{"inputs", "'a', 'b.c'", "a, b.c"}, {"inputs", "a,b", "a, b"},
		{"input", "'x'.", "x"}, {"path", "./a.engine.", "./a.engine"}, {"node", "a\x1bb", "a?b"}, {"node", "\xff", "?"},
	} {
		if got := normal(c.name, c.raw); got != c.want {
			t.Errorf("%s %q is %q, want %q", c.name, c.raw, got, c.want)
		}
	}
}

func TestFillFallsBack(t *testing.T) {
	all := []string{"{input} is {size}", "{input}", "something"}
	for _, c := range []struct {
		in   map[string]string
		want string
	}{
		{map[string]string{"input": "x", "size": "{input}"}, "x is {input}"}, // what a log says is no template
		{map[string]string{"input": "x"}, "x"},
		{nil, "something"},
	} {
		if got := fill(all, c.in); got != c.want {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
}
