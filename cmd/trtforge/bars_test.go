package main

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// times stand for T, as no two runs share them.
var someTime = regexp.MustCompile(`\d+\.\d s`)

func TestPlainLines(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out, false)
	short := b.open("export")
	short.SetMax(2)
	short.Note("streaming weights")
	short.Done(nil)
	slow := b.open("engine/rtx-fp16").(*lines)
	late := func() { slow.last = time.Now().Add(-lineEvery) }
	slow.Note("parsing") // too early to be told
	late()
	slow.Note("fusing\r\x1b[2J layers\n")
	slow.SetMax(4) // too early again
	late()
	slow.Set(3)
	late()
	slow.Sub("tactics").Sub("h.0").Note("gemm")
	slow.Done(errors.New("broken"))
	got := someTime.ReplaceAllString(out.String(), "T")
	want := strings.Join([]string{
		"export                    T done",
		"engine/rtx-fp16           T fusing [2J layers",
		"engine/rtx-fp16           T 75 % fusing [2J layers",
		"engine/rtx-fp16           T 75 % tactics/h.0 gemm",
		"engine/rtx-fp16           T failed", "",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuietSaysNothing(t *testing.T) {
	var out bytes.Buffer
	bar := newBars(&out, true).open("export")
	bar.SetMax(1)
	bar.Note("x")
	bar.Sub("y").Set(1)
	bar.Done(errors.New("broken"))
	if out.Len() > 0 {
		t.Errorf("said %q", &out)
	}
}

// A stage that ended is one short line whatever it counted, also more than it
// had announced.
func TestTerminalBarLeavesOneLine(t *testing.T) {
	var out bytes.Buffer
	p := mpb.New(mpb.WithOutput(&out), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	for _, total := range []int64{0, 3} {
		bar := openTerminalBar(p, p, "export")
		bar.SetMax(total)
		bar.Set(5)
		bar.Note("streaming weights")
		bar.Done(nil)
	}
	openTerminalBar(p, p, "calibrate").Done(errors.New("broken"))
	p.Shutdown()
	ended := regexp.MustCompile(`\r([✓✗] \S+) +\d+\.\d s\n`).FindAllStringSubmatch(out.String(), -1)
	var got []string
	for _, m := range ended {
		got = append(got, m[1])
	}
	if want := "✓ export, ✓ export, ✗ calibrate"; strings.Join(got, ", ") != want {
		t.Errorf("left %q of %q, want %s", got, &out, want)
	}
}

func TestTerminalBarTellsWhatIsKnown(t *testing.T) {
	begun := time.Now().Add(-10 * time.Second)
	wide := decor.Statistics{AvailableWidth: 100}
	for name, test := range map[string]struct {
		bar   *terminalBar
		width int
		want  string
	}{
		"nothing":           {&terminalBar{start: begun}, 100, ""},
		"a note":            {&terminalBar{start: begun, note: "parsing"}, 100, "parsing"},
		"a long note":       {&terminalBar{start: begun, note: "Computing profile costs"}, 10, "Computing…"},
		"no room":           {&terminalBar{start: begun, note: "parsing"}, 0, ""},
		"not begun":         {&terminalBar{start: begun, max: 4}, 100, "   0 %  "},
		"half":              {&terminalBar{start: begun, max: 4, done: 2, note: "int8"}, 100, "  50 %  10 s left  int8"},
		"long":              {&terminalBar{start: begun, max: 61, done: 1}, 100, "   1 %  10:00 left  "},
		"too early to tell": {&terminalBar{start: time.Now(), max: 4, done: 2}, 100, "  50 %  "},
		"all":               {&terminalBar{start: begun, max: 4, done: 4}, 100, " 100 %  "},
		"more than all":     {&terminalBar{start: begun, max: 4, done: 9}, 100, " 100 %  "},
		"narrow":            {&terminalBar{start: begun, max: 4, done: 2, note: "int8"}, 28, "  50 %  10 s …"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.bar.tail(decor.Statistics{AvailableWidth: test.width}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	var bar bytes.Buffer
	unknown := (&terminalBar{}).whileCounting(mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
		_, err := w.Write([]byte("━━"))
		return err
	}))
	if err := unknown.Fill(&bar, wide); err != nil || bar.Len() > 0 {
		t.Errorf("a bar of an unknown length: %q, %v", &bar, err)
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 3290 * time.Millisecond: "3.2 s", 59999 * time.Millisecond: "59.9 s",
		time.Minute: "1:00", 245 * time.Second: "4:05", time.Hour + 2*time.Minute + 3*time.Second: "1:02:03",
	} {
		if got := spell(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
