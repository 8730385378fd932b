package planfile

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// rtx is the header of a plan that NVIDIA's builder 1.7.1.116 wrote for SM 8.9, whose
// size is set to that of the header itself.
const rtx = "76747274 00000000 02000000 00000000 40000000 00000000 01070174 76747274 08000000 00000000 00000000 00000000 00000000 00000000 0093d400 00000000"

func plan(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil || len(b) != HeaderBytes {
		t.Fatal(len(b), err)
	}
	return b
}

func TestHeaders(t *testing.T) {
	classic := slices.Concat([]byte("ftrt\x00\x00\x00\x00"), make([]byte, 16), []byte{10, 13, 3, 9}, make([]byte, 36))
	portable := plan(t, strings.Replace(rtx, " 08000000", " 7e000000", 1))
	later := plan(t, strings.Replace(rtx, "01070174", "02000000", 1))
	for name, c := range map[string]struct {
		head    []byte
		family  Family
		version string
		targets string
		bytes   int64
	}{
		"one GPU":            {plan(t, rtx), RTX, "1.7.1.116", "sm89", 64},
		"portable":           {portable, RTX, "1.7.1.116", "sm80 sm86 sm89 sm120 sm121", 64},
		"of a later builder": {later, RTX, "2.0.0.0", "", 0},
		"classic":            {classic, TensorRT, "10.13.3.9", "", 0},
	} {
		path := filepath.Join(t.TempDir(), "engine.plan")
		if err := os.WriteFile(path, c.head, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := Read(path)
		if err != nil || h.Family != c.family || h.Version != c.version || strings.Join(h.Targets, " ") != c.targets || h.Bytes != c.bytes {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func TestWhatIsNoPlan(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		say     string
	}{
		"empty":                      {nil, "no TensorRT plan"},
		"a text file named .engine":  {[]byte("engine: fp16\n" + strings.Repeat("x", 100)), "no TensorRT plan"},
		"cut within its header":      {plan(t, rtx)[:40], "cut short"},
		"cut behind its header":      {plan(t, strings.Replace(rtx, "40000000", "41000000", 1)), "says that it has 65"},
		"more than there was":        {append(plan(t, rtx), 0), "says that it has 64"},
		"a serialization to come":    {plan(t, strings.Replace(rtx, "00000000", "07000000", 1)), "version 7"},
		"a size beyond all measures": {plan(t, strings.Replace(rtx, "40000000 00000000", "ffffffff ffffffff", 1)), "cut or added"},
	} {
		path := filepath.Join(t.TempDir(), "some.engine")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); fault.Exit(err) != 4 || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe.engine")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(pipe); fault.Exit(err) != 4 || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); fault.Exit(err) != 4 {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestMisfit(t *testing.T) {
	one := Header{Family: RTX, Version: "1.7.1.116", Targets: []string{"sm89"}}
	classic := Header{Family: TensorRT, Version: "10.13.3.9"}
	for _, c := range []struct {
		h                     Header
		compute, version, say string
	}{
		{one, "8.9", "1.7.1.116", ""},
		{one, "", "1.7.1.116", "no NVIDIA GPU"},
		{one, "12.0", "1.7.1.116", "this machine's GPU is sm120"},
		{one, "8.9", "", "no tensorrt-rtx is installed"},
		{one, "8.9", "1.8.0.1", "installed is 1.8.0.1"},
		{one, "", "1.8.0.1", "answers; it was built by"},
		{classic, "", "", "answers; no tensorrt is installed"},
		{classic, "9.0", "10.13.3", ""},
		{classic, "9.0", "10.12.0", "built by tensorrt 10.13.3.9"},
	} {
		if why := c.h.Misfit(c.compute, c.version); !strings.Contains(why, c.say) || (why == "") != (c.say == "") {
			t.Errorf("%+v on %q with %q: %q, want %q", c.h, c.compute, c.version, why, c.say)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(plan(f, rtx))
	f.Add([]byte("ftrt"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		if err != nil {
			return
		}
		if h.Bytes < 0 || h.Version == "" || !bytes.HasPrefix(b[1:], []byte("trt")) {
			t.Errorf("%x: %+v", b, h)
		}
	})
}
