package syntax

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// verdict is what the option parser says of a map.
type verdict struct {
	ok   bool
	text string // the options that it holds, or its objection
}

// optionParser is the option parser of the released TensorRT EP, in a process of its
// own: a C program that is compiled here, the library of onnxruntime-gpu, empty
// libraries in the place of TensorRT, and the CUDA libraries that PyTorch brings.
type optionParser struct {
	program, library, env string
}

func newOptionParser(t *testing.T) optionParser {
	t.Helper()
	site := func(runtime string) string {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(testenv.Python(t, runtime))), "lib", "python3*", "site-packages"))
		if len(found) != 1 {
			testenv.Lacking(t, runtime, "runtime "+runtime+" has no site-packages beside its interpreter")
		}
		return found[0]
	}
	libraries, _ := filepath.Glob(filepath.Join(site("oracle-trt"), "onnxruntime", "capi", "libonnxruntime.so.*"))
	cuda, _ := filepath.Glob(filepath.Join(site("reference"), "nvidia", "*", "lib"))
	if len(libraries) != 1 || len(cuda) == 0 {
		testenv.Lacking(t, "oracle-trt", "ONNX Runtime with TensorRT, or the CUDA libraries that it links to, is not installed")
	}
	dir := t.TempDir()
	compile := func(args ...string) {
		cc := os.Getenv("CC")
		if cc == "" {
			cc = "cc"
		}
		if _, err := exec.LookPath(cc); err != nil {
			testenv.Lacking(t, "cc", "there is no C compiler")
		}
		if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, name := range []string{"libnvinfer.so.10", "libnvonnxparser.so.10"} {
		compile("-shared", "-fPIC", "-Wl,-soname,"+name, "-o", filepath.Join(dir, name), "testdata/stub.c")
	}
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "options")
	compile("-I", strings.TrimSpace(string(header)), "-o", program, "testdata/options.c", "-ldl")
	return optionParser{program, libraries[0], "LD_LIBRARY_PATH=" + strings.Join(append(cuda, dir), ":")}
}

// parse gives maps of options to the parser.
func (p optionParser) parse(t *testing.T, maps [][][2]string) []verdict {
	t.Helper()
	var in bytes.Buffer
	for _, m := range maps {
		fmt.Fprintln(&in, len(m))
		for _, o := range m {
			fmt.Fprintf(&in, "%d %d\n%s%s", len(o[0]), len(o[1]), o[0], o[1])
		}
	}
	cmd := exec.Command(p.program, p.library)
	cmd.Env, cmd.Stdin = append(os.Environ(), p.env), &in
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	var all []verdict
	r := bufio.NewReader(bytes.NewReader(out))
	for range maps {
		var word string
		var n int
		if _, err := fmt.Fscanf(r, "%s %d\n", &word, &n); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		all = append(all, verdict{word == "ok", string(b)})
	}
	return all
}

// Every option map that we write passes the real parser and is held there as it was
// written. It reads names and scalars only, not shapes: these are the grammar's.
func TestTensorRTProviderTakesTheOptions(t *testing.T) {
	p := newOptionParser(t)
	sets, _ := many(t, ORT)
	var maps [][][2]string
	for _, all := range sets {
		names, values, err := options(ortKeys, all)
		if err != nil {
			t.Fatal(err)
		}
		var m [][2]string
		for i := range names {
			m = append(m, [2]string{names[i], values[i]})
		}
		maps = append(maps, m)
	}
	for i, v := range p.parse(t, maps) {
		if !v.ok {
			t.Errorf("%v: %s", maps[i], v.text)
		}
		for _, o := range maps[i] {
			if !strings.Contains(v.text, o[0]+"="+o[1]) {
				t.Errorf("it holds %s\nnot %s=%s", v.text, o[0], o[1])
			}
		}
	}
	t.Logf("%d maps of options", len(maps))

	// The parser can say no.
	for _, v := range p.parse(t, [][][2]string{
		{{"trt_profile_min_shape", "a:1"}}, {{rtxKeys[0], "a:1"}}, {{ortKeys[0], "a:1"}, {"trt_builder_optimization_level", "high"}},
	}) {
		if v.ok || !strings.Contains(v.text, "trt_") && !strings.Contains(v.text, "nv_") {
			t.Errorf("a bad map: %+v", v)
		}
	}
}
