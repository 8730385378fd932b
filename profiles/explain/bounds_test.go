package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtforge/trtforge/internal/fault"
)

const aLine = "[TRT] [E] IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: satisfyProfile. Set dimension [%d,27] for tensor input_ids does not satisfy any optimization profiles. Valid range for profile 0: [1,8]..[4,24].)"

// repeated is a log of n bytes that repeats a text.
type repeated struct {
	text string
	left int64
	at   int
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	b = b[:min(int64(len(b)), r.left)]
	for n < len(b) {
		c := copy(b[n:], r.text[r.at:])
		r.at = (r.at + c) % len(r.text)
		n += c
	}
	r.left -= int64(n)
	return n, nil
}

// A large log costs no more memory than a small one, whatever it holds.
func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	size := int64(2 << 20)
	if os.Getenv("TRTFORGE_FULL") != "" {
		size = 32 << 20
	}
	var different strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&different, aLine+"\n[E] line %d of a kind that nobody %s\n", i+5, i, strings.Repeat("knows", i%40))
	}
	for name, text := range map[string]string{
		"healthy":          "[11/24/2026-22:20:01] [TRT] [I] [MemUsageStats] Peak memory usage of TRT CPU/GPU memory allocators: CPU 0 MiB, GPU 0 MiB\n",
		"one error":        fmt.Sprintf(aLine+"\n", 5),
		"different errors": different.String(),
		"no line ends":     "past_key_values.0.key ",
		"zeros":            "\x00",
		"escapes":          "\x1b[31",
		"half messages":    "Static dimension mismatch\nNot all shapes are specified\nUser needs to provide all the dynamic shape inputs with associated profiles\n",
	} {
		t.Run(name, func(t *testing.T) {
			var peak uint64
			watched := io.TeeReader(&repeated{text: text, left: size}, writerFunc(func(b []byte) (int, error) {
				var m runtime.MemStats
				if rand.IntN(8) == 0 {
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapAlloc)
				}
				return len(b), nil
			}))
			r, err := Read(watched, Context{})
			if peak > 32<<20 {
				t.Errorf("%d bytes of heap", peak)
			}
			if name == "zeros" && fault.Exit(err) == 4 { // no text
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Bytes != size {
				t.Errorf("%d bytes read of %d", r.Bytes, size)
			}
			if len(r.Findings) > 40 || len(r.Unknown) > maxUnknown {
				t.Errorf("%d findings, %d unknown", len(r.Findings), len(r.Unknown))
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestRepeatsAreCounted(t *testing.T) {
	var b strings.Builder
	for range 1000 {
		fmt.Fprintf(&b, aLine+"\n", 5)
	}
	for i := range 100 {
		fmt.Fprintf(&b, aLine+"\n", 1000+i)
	}
	r := explained(t, b.String(), Context{})
	if n := len(r.Findings); n != maxEach || r.Findings[0].Evidence.Count != 1000 || r.Findings[0].Evidence.Line != 1 {
		t.Errorf("%d findings, the first %+v", n, r.Findings[0].Evidence)
	}
	total := 0
	for _, f := range r.Findings {
		total += f.Evidence.Count + f.More
	}
	if total != 1100 {
		t.Errorf("%d lines counted", total)
	}
}

// A message is found wherever it lies in a line that is read in pieces.
func TestMessageOnASeam(t *testing.T) {
	message := fmt.Sprintf(aLine, 5)
	for _, at := range []int{0, maxLine - 500, maxLine - 300, maxLine - 100, maxLine - 1, maxLine, maxLine + 1, 2*maxLine - 200, 5 * maxLine} {
		r := explained(t, strings.Repeat("x", at)+" "+message+" "+strings.Repeat("y", maxLine), Context{})
		f := r.Root()
		if f == nil || f.Fields["dims"] != "5x27" || f.Fields["max"] != "4x24" || f.Evidence.Line != 1 || r.Lines != 1 {
			t.Errorf("at %d: %+v", at, f)
		} else if len(f.Evidence.Text) > maxQuote+10 || !strings.Contains(f.Evidence.Text, "satisfy any") {
			t.Errorf("at %d: quoted as %q", at, f.Evidence.Text)
		}
	}
}

func TestJunk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	junk := make([]byte, 1<<20)
	for i := range junk {
		junk[i] = byte(r.Uint32())
	}
	report, err := Read(bytes.NewReader(junk), Context{})
	if fault.Exit(err) != 4 || !strings.Contains(err.Error(), "binary") {
		t.Errorf("%v, %+v", err, report)
	}
	report, err = Read(io.MultiReader(bytes.NewReader(junk), strings.NewReader("\n"+fmt.Sprintf(aLine, 5)+"\n"), bytes.NewReader(junk)), Context{})
	if err != nil || report.Root() == nil || report.Root().Fields["dims"] != "5x27" {
		t.Errorf("%v, %+v", err, report.Root())
	}
}

func TestReadErrors(t *testing.T) {
	_, err := Read(iotest.ErrReader(errors.New("broken pipe")), Context{Log: "l"})
	if fault.Exit(err) != 4 || !strings.Contains(err.Error(), "reading log l: broken pipe") {
		t.Errorf("%v", err)
	}
}

// What is no log is refused, or said to be nobody's; text in other clothes is not.
func TestWhatIsNoLog(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\nIDATx\x9cc\x00\x01"
	for text, want := range map[string]string{"": "empty", " \r\n\n": "empty", "\x00": "binary", png: "binary", strings.Repeat("\x00\x00\x01\x3f", 99): "binary"} {
		r, err := Read(strings.NewReader(text), Context{Log: "l"})
		if fault.Exit(err) != 4 || !strings.Contains(err.Error(), "reading log l: it is") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %+v", text, err, r)
		}
	}
	utf16 := func(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00" }
	for text, want := range map[string]string{
		"a,b\n1,2\n":                        "no tool's output was recognised in 2 lines\n",
		utf16("a,b\r\n1,2"):                 "no tool's output was recognised in 2 lines\n",
		"\x1b[31mgrüße\x1b[0m 你好\n":         "no tool's output was recognised in 1 lines\n",
		"[TRT] [I] Engine built\n":          "nothing wrong found in 1 lines\n",
		utf16("[TRT] [I] Engine built\r\n"): "nothing wrong found in 2 lines\n",
	} {
		var b strings.Builder
		if err := explained(t, text, Context{}).Text(&b); err != nil || b.String() != want {
			t.Errorf("%q: %q, %v", text, b.String(), err)
		}
	}
}

// Lines of a dozen kinds that look bad and that no pattern knows are quoted, once
// each, and make the report unexplained.
func TestUnknownErrors(t *testing.T) {
	r := explained(t, "[E] gizmo 17 broke\n[E] gizmo 18 broke\nE0704 08:31:22.118240 91 x.cc:1] no\nKeyError: 'x'\nfine\nterminate called after throwing\nSegmentation fault (core dumped)\n", Context{})
	if r.Explained() || !r.Failed() || len(r.Unknown) != 5 || r.Unknown[0].Count != 2 || r.Unknown[0].Line != 1 {
		t.Errorf("%+v", r.Unknown)
	}
	var b strings.Builder
	if err := r.Text(&b); err != nil || !strings.Contains(b.String(), "line 1 (2 times)  [E] gizmo 17 broke") {
		t.Error(b.String(), err)
	}
}

func BenchmarkRead(b *testing.B) {
	for name, text := range map[string]string{
		"healthy": "[11/24/2026-22:20:01] [TRT] [V] Tactic Name: sm80_xmma_gemm_f32f32_f32f32_f32_nn_n_tilesize32x32x8_stage3_warpsize1x2x1_ffma_aligna4_alignc4 Tactic: 0x0000000000020278 Time: 0.0154\n",
		"errors":  fmt.Sprintf(aLine+"\n", 5),
	} {
		b.Run(name, func(b *testing.B) {
			const size = 16 << 20
			b.SetBytes(size)
			for b.Loop() {
				if _, err := Read(&repeated{text: text, left: size}, Context{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
