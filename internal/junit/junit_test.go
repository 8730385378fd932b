package junit

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/golden"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	err := Write(&b, Suite{Name: "profiles check plan.json", Cases: []Case{
		{Class: "plan.json", Name: "TF101"},
		{Class: "plan.json", Name: "TF301", Time: 1500 * time.Millisecond, Failure: `mask < past & "seq"`, Detail: "at min\nat max"},
		{Class: "plan.json", Name: "TF302", Skipped: "no contract"},
		{Class: "plan.json", Name: "TF417", Output: "info: ]]> \x1b[31m\xff"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/report.xml", b.String())
}

// What a reader gets is what was written, whatever the bytes were.
func FuzzWrite(f *testing.F) {
	f.Add("a", "b")
	f.Add("\x00\xff]]>", "<&\"'>")
	f.Fuzz(func(t *testing.T, failure, output string) {
		var b strings.Builder
		if err := Write(&b, Suite{Name: failure, Cases: []Case{{Name: output, Failure: failure, Detail: output}, {Output: output}}}); err != nil {
			t.Fatal(err)
		}
		var back testsuites
		if err := xml.Unmarshal([]byte(b.String()), &back); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		failed := 0
		if failure != "" {
			failed = 1
		}
		if back.Failures != failed || len(back.Suite.Cases) != 2 {
			t.Errorf("read back %+v", back)
		}
	})
}
