package explain

import (
	"reflect"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// Several causes with one correction print it once, after the change only, one flag
// a line; JSON has it all.
func TestCorrectionIsPrintedOnce(t *testing.T) {
	log := outside("input_ids", []int64{4, 300}, []int64{1, 1}, []int64{4, 200}, 0) + "\nrequest specifies invalid shape for input 'input_ids' for gpt2. Error details: model expected the shape of dimension 1 to be between 1 and 200 but received 300\n"
	r := explained(t, log, Context{Profiles: ids([2]int64{1, 200}), Syntax: syntax.Trtexec})
	roots := r.Roots()
	if len(roots) != 2 || roots[0].Correction == nil || roots[1].Correction == nil || roots[0].Correction.After != roots[1].Correction.After || roots[1].Correction.Before == "" {
		t.Fatalf("%d roots: %+v", len(roots), roots)
	}
	var b strings.Builder
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{"--maxShapes=input_ids:4x300": 1, "input_ids:4x200": 0, "before (": 0, "change ": 1,
		"the same profiles as for " + roots[0].ID + " above":                                                      1,
		"    --minShapes=input_ids:1x1 \\\n    --optShapes=input_ids:1x200 \\\n    --maxShapes=input_ids:4x300\n": 1} {
		if got := strings.Count(b.String(), text); got != n {
			t.Errorf("%q stands there %d times, want %d:\n%s", text, got, n, b.String())
		}
	}
}

// Flags on lines of their own are still the same profiles, also with names that a
// shell must not read.
func TestApartReadsBack(t *testing.T) {
	for _, name := range []string{syntax.Trtexec, syntax.Polygraphy} {
		for _, input := range []string{"a", "a b", "x --y", `it\s`} {
			want := []profiles.Profile{{Inputs: []profiles.Range{{Input: input, Min: []int64{1}, Opt: []int64{2}, Max: []int64{3}}}}}
			text, err := syntax.Emit(name, syntax.Input{Profiles: want})
			if err != nil {
				t.Logf("%s has no %q: %v", name, input, err)
				continue
			}
			got, err := syntax.ParseAs(name, apart(text))
			if err != nil || !reflect.DeepEqual(got[0].Inputs, want[0].Inputs) {
				t.Errorf("%s %q: %v, %v", name, apart(text), got, err)
			}
			if n := strings.Count(apart(text), "\n"); n < 2 {
				t.Errorf("%s: %d line ends in %q", name, n, apart(text))
			}
		}
	}
}

// A line is quoted as it stands, with the prefix that says who wrote it, without
// control characters; of one that is too long, its beginning and what was found.
func TestEvidenceIsTheLine(t *testing.T) {
	prefix := "[TensorRT] ERROR: 3: [executionContext.cpp::setBindingDimensions::966] "
	line := prefix + "Error Code 3: API Usage Error (Parameter check failed at: runtime/api/executionContext.cpp::setBindingDimensions::966, condition: profileMinDims.d[i] <= dimensions.d[i]. Supplied binding dimension [1,3,32,64] for bindings[0] exceed min ~ max range at index 3, maximum dimension in profile is 96, minimum dimension in profile is 96, but supplied dimension is 64.)"
	for _, log := range []string{line, "\x1b[31m" + line + "\x1b[0m\x07\x01\r\n", "before\n" + line + "\nafter"} {
		if got := explained(t, log, Context{}).Root().Evidence.Text; got != line {
			t.Errorf("%q is quoted as %q", log, got)
		}
	}
	long := explained(t, prefix+strings.Repeat("x", 20000)+line, Context{}).Root().Evidence.Text
	if !strings.HasPrefix(long, prefix) || !strings.HasSuffix(long, line[len(line)-300:]) || len(long) > maxQuote+10 {
		t.Errorf("a long line is quoted as %q", long)
	}
	unknown := explained(t, "[E] a\x01b "+strings.Repeat("é", 400), Context{}).Unknown[0].Text
	if !strings.HasPrefix(unknown, "[E] ab é") || len(unknown) > maxUnread+10 {
		t.Errorf("quoted as %q", unknown)
	}
}
