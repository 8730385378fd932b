package calib

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
)

// small are observations of two tensors, one of which has channels.
func small(t testing.TB) *Observations {
	t.Helper()
	o := NewObservations([]string{"/h.0/ln_1", "/h.0/attn/Softmax", "/never"})
	o.CreatedBy, o.Model, o.Text, o.Plan, o.Of, o.Parts = "trtforge test", "ab", "cd", "ef", 2, []int{1}
	o.Batches, o.Done, o.Samples, o.Tokens = 3, 1, 2, 12
	o.Until = &Until{Percent: 1, Least: 16}
	if err := o.Tensors["/h.0/ln_1"].add([]float32{1, -2.5, 0, 0.125, 3, -0.5}, 3); err != nil {
		t.Fatal(err)
	}
	o.Tensors["/h.0/attn/Softmax"].Varies = true
	if err := o.Tensors["/h.0/attn/Softmax"].add([]float32{0.25, 0.75}, 0); err != nil {
		t.Fatal(err)
	}
	o.Curve = newCurve(Percentile(99.9))
	if err := o.follow(Percentile(99.9)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObservationsAreReadBack(t *testing.T) {
	_, job := fakeJob(t, 12, PlanOptions{})
	c, _ := fakeJob(t, 12, PlanOptions{})
	for name, o := range map[string]*Observations{"small": small(t), "collected": collect(t, c, job), "empty": NewObservations(nil)} {
		path := filepath.Join(t.TempDir(), "observations.json")
		if err := o.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		back, err := ReadObservationsFile(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o.extra, back.extra, back.path = nil, nil, ""
		if d := cmp.Diff(o, back, cmp.AllowUnexported(Observations{})); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

func TestObservationsRefusals(t *testing.T) {
	good := marshal(t, small(t))
	if _, err := ReadObservations(strings.NewReader(good), "o.json"); err != nil {
		t.Fatal(err)
	}
	bins := func(b ...byte) string { return `"bins":"` + base64.StdEncoding.EncodeToString(b) + `"` }
	counts := small(t).Tensors["/h.0/ln_1"].Counts
	for name, c := range map[string]struct{ old, with, want string }{
		"not JSON":         {`{`, `TRT`, "it is no JSON"},
		"other kind":       {`"kind":"observations"`, `"kind":"table"`, `kind is "table"`},
		"newer":            {`"schema_version":1`, `"schema_version":2`, "version is 2"},
		"parts":            {`"parts":[1]`, `"parts":[1,1]`, "parts [1 1] of 2"},
		"part beyond":      {`"parts":[1]`, `"parts":[2]`, "parts [2] of 2"},
		"no parts":         {`"parts":[1]`, `"parts":[]`, "parts [] of 2"},
		"done":             {`"done":1`, `"done":4`, "4 of 3 batches"},
		"curve":            {`"samples":[2]`, `"samples":[2,3]`, "does not fit its points"},
		"method":           {`"method":"percentile:99.9"`, `"method":"guess"`, "guess"},
		"count":            {`"count":6`, `"count":7`, "bins lack 1 values"},
		"more in bins":     {`"zeros":1`, `"zeros":2`, "more values than it counts"},
		"lo above hi":      {`"lo":-2.5`, `"lo":5`, "lo 5 is above hi 3"},
		"top":              {`"hi":3,`, `"hi":3.5,`, "do not end at its greatest magnitude"},
		"range too large":  {`"exp":2`, `"exp":3`, "do not end at its greatest magnitude"},
		"bins end":         {`"bins":"` + base64.StdEncoding.EncodeToString(packCounts(counts)) + `"`, bins(0), "bins are damaged"},
		"bins beyond":      {`"bins":"` + base64.StdEncoding.EncodeToString(packCounts(counts)) + `"`, bins(0, 0xff, 0xff, 0xff, 0x7f, 1), "bins are damaged"},
		"rows":             {`"rows":2`, `"rows":3`, "3 rows of 3 channels"},
		"channels vary":    {`"varies":true`, `"varies":false,"channels":{"rows":1,"lo":"","hi":"","sums":"","squares":""}`, "do not fit together"},
		"moment":           {`"m4":`, `"m4":1e999,"x":`, "1e999"},
		"tensor is null":   {`"/never":{`, `"/nothing":null,"/never":{`, `tensor "/nothing": nothing`},
		"curve of a few":   {`,"/never":[0]`, ``, "does not fit its points"},
		"curve of nothing": {`"amax":{`, `"amax":{"/other":[1],`, "/other"},
	} {
		bad := strings.Replace(good, c.old, c.with, 1)
		if bad == good {
			t.Errorf("%s: %q is not in %s", name, c.old, good)
			continue
		}
		_, err := ReadObservations(strings.NewReader(bad), "o.json")
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "o.json") {
			t.Errorf("%s: %v, want an input error with %q", name, err, c.want)
		}
	}
	both := strings.NewReplacer(`"count":6`, `"count":7`, `"done":1`, `"done":9`).Replace(good)
	if _, err := ReadObservations(strings.NewReader(both), "o.json"); err == nil || !strings.Contains(err.Error(), "9 of 3") || !strings.Contains(err.Error(), "lack") {
		t.Errorf("%v, want both findings", err)
	}
}

func FuzzReadObservations(f *testing.F) {
	b, err := json.Marshal(small(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"kind":"observations","schema_version":1,"of":1,"parts":[0],"tensors":{"a":{"count":2,"zeros":2}},"x":1}`))
	f.Add([]byte(`{"kind":"observations","schema_version":1,"of":1,"parts":[0],"tensors":{"a":{"count":1,"hi":1,"exp":1,"bins":"AIBAAQ=="}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ReadObservations(bytes.NewReader(b), "fuzz")
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Fatalf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		out, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadObservations(bytes.NewReader(out), "again")
		if err != nil {
			t.Fatalf("%s is not read again: %v", out, err)
		}
		twice, err := json.Marshal(again)
		if err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%s became %s: %v", out, twice, err)
		}
		for _, m := range []Method{Absmax(), Percentile(99), MSE(), Entropy()} {
			table, err := o.Table(m)
			if err == nil && table.check() != nil {
				t.Fatalf("%s of %s: %v", m, out, table.check())
			}
			if _, err := o.Outliers(m, 3); err != nil {
				t.Fatal(err)
			}
		}
	})
}
