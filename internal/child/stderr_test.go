package child

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCaptureKeepsHeadAndTail(t *testing.T) {
	var log bytes.Buffer
	c := newCapture(&log, 8)
	for _, s := range []string{"01234", "56789", "abcdefgh", "XYZ"} {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	if want := "01234567\n... 5 bytes omitted ...\ndefghXYZ"; log.String() != want {
		t.Errorf("the log is %q, not %q", log.String(), want)
	}
}

func TestCaptureStripsEscapes(t *testing.T) {
	var log bytes.Buffer
	c := newCapture(&log, 1000)
	text := "\x1b[0;93m2026 [W:onnxruntime] warning\x1b[m\nplain \x1b]0;title\x07end \x1b]8;;u\x1b\\link\n"
	for i := range len(text) { // byte by byte: sequences are torn apart
		_, _ = c.Write([]byte{text[i]})
	}
	_ = c.finish()
	if want := "2026 [W:onnxruntime] warning\nplain end link\n"; log.String() != want {
		t.Errorf("the log is %q, not %q", log.String(), want)
	}
	if got := strings.Join(c.lines(), "|"); got != "2026 [W:onnxruntime] warning|plain end link" {
		t.Errorf("the lines are %q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestCaptureSurvivesAFullDisk(t *testing.T) {
	c := newCapture(full{}, 8)
	if n, err := c.Write([]byte("hello")); n != 5 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if c.finish() == nil {
		t.Error("the error is lost")
	}
}

func TestCgroupLimits(t *testing.T) {
	got := cgroupLimits("9:name=systemd:/\n4:memory:/a/b\n0::/user/x\n")
	want := []string{
		"/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
		"/sys/fs/cgroup/user/x/memory.max", "/sys/fs/cgroup/user/memory.max", "/sys/fs/cgroup/memory.max",
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %q", got)
	}
	if m := DefaultMemory(); m < 100<<20 {
		t.Errorf("the default limit is %d bytes", m)
	}
}
