package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

func written(t testing.TB, all []Sample) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSamples(&b, "trtforge test", all); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var twoSamples = []Sample{
	{Engine: "a", Scenario: "s", Mode: Chunked, Chunk: 4, Batch: 2, PromptTokens: 9, Lengths: []int{9, 5}, NewTokens: 2, TTFT: 3, E2E: 5, Gaps: []float64{2},
		Run: 4.5, Load: 12, PeakRSS: 1 << 20, Warnings: []string{"the CPU was throttled"}},
	{Engine: "b", Scenario: "s", Mode: Cached, Batch: 1, PromptTokens: 9, NewTokens: 2, Round: 1, Failure: &Failure{Class: NonFinite, Cause: "the logits hold NaN"}},
}

func TestSamplesRoundTrip(t *testing.T) {
	got, err := ReadSamples(strings.NewReader(written(t, twoSamples)+"\n"), "samples.jsonl")
	if diff := cmp.Diff(twoSamples, got); diff != "" || err != nil {
		t.Errorf("error %v, samples (-want +got):\n%s", err, diff)
	}
}

func TestSamplesCutInTheMiddle(t *testing.T) {
	text := written(t, twoSamples)
	cut := text[:len(text)-20]
	_, err := ReadSamples(strings.NewReader(cut), "samples.jsonl")
	if err == nil || fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "samples.jsonl:2: the line is cut off") {
		t.Errorf("a cut file gives %v", err)
	}
	got, whole, err := RecoverSamples(strings.NewReader(cut), "samples.jsonl")
	if err != nil || len(got) != 1 || whole != int64(strings.Index(text, "\n")+1) {
		t.Errorf("%d samples, %d bytes, %v", len(got), whole, err)
	}
}

func TestSamplesThatCannotBe(t *testing.T) {
	good := `{"kind":"sample","schema_version":1,"engine":"a","scenario":"s","batch":1,"prompt_tokens":2,"new_tokens":3,"ttft_ms":1,"e2e_ms":3,"gaps_ms":[1,1]}`
	if s, err := ReadSamples(strings.NewReader(good+"\n"), "f"); err != nil || s[0].Mode != Cached {
		t.Fatalf("%v, %v", s, err)
	}
	for what, change := range map[string][2]string{
		"another kind":       {`"sample"`, `"row"`},
		"a newer version":    {`version":1`, `version":2`},
		"no engine":          {`"a"`, `""`},
		"a batch of 0":       {`"batch":1`, `"batch":0`},
		"backwards":          {`"e2e_ms":3`, `"e2e_ms":0.5`},
		"a clock that stood": {`"ttft_ms":1`, `"ttft_ms":0`},
		"a gap too many":     {`[1,1]`, `[1,1,1]`},
		"a gap of no time":   {`[1,1]`, `[1,-1]`},
		"lengths of no rows": {`"batch":1`, `"batch":1,"lengths":[1,2]`},
		"a text for a time":  {`"ttft_ms":1`, `"ttft_ms":"x"`},
	} {
		line := strings.Replace(good, change[0], change[1], 1)
		_, err := ReadSamples(strings.NewReader(good+"\n"+line+"\n"), "f")
		if fault.Classify(err) != fault.Input || err == nil || !strings.Contains(err.Error(), "f:2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSamplesFormat holds the file to the one that docs/formats.md shows.
func TestSamplesFormat(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "formats", "samples.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadSamples(bytes.NewReader(b), "samples.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteSamples(&again, "trtforge v1.0.0", got); err != nil || again.String() != string(b) {
		t.Errorf("error %v; written again (-want +got):\n%s", err, cmp.Diff(string(b), again.String()))
	}
}

func TestMachineFormat(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "formats", "machine.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadMachine(bytes.NewReader(b), "machine.json")
	if err != nil {
		t.Fatal(err)
	}
	again, err := fsx.JSON(m)
	if diff := cmp.Diff(string(b), string(again)); diff != "" || err != nil {
		t.Errorf("error %v; written again (-want +got):\n%s", err, diff)
	}
}

func TestMachineDiffers(t *testing.T) {
	a := &Machine{CPU: "x", Cores: 2, Versions: map[string]string{"ort": "1"}, Load: 3}
	b := &Machine{CPU: "y", Cores: 2, Versions: map[string]string{"ort": "2", "rtx": "1"}, Host: "h"}
	want := []string{"CPU: x and y", "ort: 1 and 2"}
	if diff := cmp.Diff(want, a.Differs(b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzSamples(f *testing.F) {
	f.Add(written(f, twoSamples))
	f.Add(`{"kind":"sample","schema_version":1,"lengths":[1],"batch":1e99}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, whole, err := RecoverSamples(strings.NewReader(text), "f")
		if whole > int64(len(text)) {
			t.Fatalf("%d of %d bytes are whole", whole, len(text))
		}
		if err != nil {
			return
		}
		again, err := ReadSamples(strings.NewReader(written(t, all)), "f")
		if err != nil || written(t, again) != written(t, all) {
			t.Errorf("%v became %v (%v)", all, again, err)
		}
	})
}

func FuzzMachine(f *testing.F) {
	f.Add(`{"kind":"machine","schema_version":1,"cpu":"x","features":["avx2"],"new":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadMachine(strings.NewReader(text), "f")
		if err == nil && len(m.Differs(m)) > 0 {
			t.Errorf("a machine differs from itself: %v", m.Differs(m))
		}
	})
}
