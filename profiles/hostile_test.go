package profiles

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A file may claim blocks of billions of shapes; nothing counts them one by one.
func TestPlansOfBillionsOfShapes(t *testing.T) {
	start := time.Now()
	text := `{"kind":"plan","schema_version":2,"profiles":[{"name":"p","inputs":[{"input":"input_ids","min":[5,1],"opt":[5,1],"max":[900000,9000]}]}],
		"demand":[` + strings.Repeat(`{"phase":"prefill","batch":1,"seq":1,"run":4194304,"batches":4194304,"count":1e300},`, 200) +
		`{"phase":"decode","batch":7,"seq":1,"past":4194304,"run":4194304,"batches":4194304}],"coverage":[` + strings.Repeat("0,", 200) + `0]}`
	p, err := Read(strings.NewReader(text), "t")
	if err != nil {
		t.Fatal(err)
	}
	gaps := Check(uncached(), p.Profiles, p.Demand, Any)
	if len(gaps) == 0 || Count(p.Demand) <= 0 || Distinct(p.Demand) != Count(p.Demand) {
		t.Errorf("%d gaps, %d shapes", len(gaps), Count(p.Demand))
	}
	if Count([]Shape{{Run: math.MaxInt32, Batches: math.MaxInt32}, {Run: math.MaxInt32, Batches: math.MaxInt32}, {Run: math.MaxInt32, Batches: math.MaxInt32}}) != math.MaxInt {
		t.Error("a number of shapes that no number holds")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, bad := range []string{`"run":-1`, `"batches":-1`, `"past":-1`, `"run":99999999`, `"phase":"sleep"`} {
		text := `{"kind":"plan","schema_version":2,"profiles":[{"inputs":[]}],"demand":[{"phase":"decode","batch":1,"seq":1,` + bad + `}],"coverage":[0]}`
		if _, err := Read(strings.NewReader(text), "t"); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// Plans of version 1, of single shapes, are plans still.
func TestPlansOfVersion1(t *testing.T) {
	text := `{"kind":"plan","schema_version":1,"created_by":"trtforge 1.0.0","strategy":"wide","reach":"any","profiles":[{"name":"wide","inputs":[]}],
		"demand":[{"phase":"prefill","batch":1,"seq":6,"past":0,"count":1},{"phase":"decode","batch":1,"seq":1,"past":6,"count":1}],"coverage":[0,0]}`
	p, err := Read(strings.NewReader(text), "t")
	if err != nil {
		t.Fatal(err)
	}
	want := []Shape{{Phase: Prefill, Batch: 1, Seq: 6, Count: 1}, {Phase: Decode, Batch: 1, Seq: 1, Past: 6, Count: 1}}
	if d := cmp.Diff(want, p.Demand); d != "" || Count(p.Demand) != 2 {
		t.Error(d)
	}
}
