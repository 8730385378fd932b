package rows

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestRoundTrip(t *testing.T) {
	want := []Row{
		{Engine: "a", Scenario: "s", Phase: "prefill", Name: "ttft", Unit: "ms", Value: 1.5, Lo: 1, Hi: math.Inf(1), N: 3, Samples: []float64{1, 2, 1.5}, Warnings: []string{"few"}},
		{Engine: "a", Name: "kl_mean", Unit: "nats", Value: math.NaN(), Lo: math.Inf(-1), Hi: 0},
		Exact("a", "engine_size", "bytes", 12),
	}
	var b bytes.Buffer
	if err := Write(&b, "test", want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b, "rows.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"no JSON": "{", "another kind": `{"kind":"plan","schema_version":1}`,
		"newer": `{"kind":"row","schema_version":2}`, "a word for a number": `{"kind":"row","schema_version":1,"value":"much"}`,
	} {
		_, err := Read(strings.NewReader("\n"+line), "f")
		if fault.Exit(err) != 4 || !strings.Contains(err.Error(), "f:2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"kind":"row","schema_version":1,"engine":"a","name":"b","unit":"ms","value":"NaN","lo":1,"hi":"+Inf","n":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Read(bytes.NewReader(b), "f")
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, "fuzz", all); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
