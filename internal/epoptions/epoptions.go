// Package epoptions lets tests ask the option parser of the released TensorRT EP.
//
// It runs in a process of its own: a C program that is compiled here, the library of
// onnxruntime-gpu, empty libraries in the place of TensorRT, and the CUDA libraries
// that PyTorch brings. The parser reads names and scalars; shapes are read later, by
// what needs a GPU.
package epoptions

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
)

// The sources have a name that the go command does not compile.
var (
	//go:embed options.c.txt
	optionsC []byte
	//go:embed stub.c.txt
	stubC []byte
)

// Verdict is what the option parser says of a map.
type Verdict struct {
	OK   bool
	Text string // the options that it holds, or its objection
}

// Parser is the program, the library and where the program finds what that needs.
type Parser struct {
	program, library, env string
}

// New compiles the program, or skips the test by the name of what is missing.
func New(t testing.TB) Parser {
	t.Helper()
	build := testenv.GPUBuild(t)
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
	source := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stub := source("stub.c", stubC)
	for _, name := range []string{"libnvinfer.so.10", "libnvonnxparser.so.10"} {
		compile("-shared", "-fPIC", "-Wl,-soname,"+name, "-o", filepath.Join(dir, name), stub)
	}
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "options")
	compile("-I", strings.TrimSpace(string(header)), "-o", program, source("options.c", optionsC), "-ldl")
	return Parser{program, build.Library, "LD_LIBRARY_PATH=" + strings.Join(append(build.Dirs, dir), ":")}
}

// Parse gives maps of options to the parser.
func (p Parser) Parse(t testing.TB, maps [][][2]string) []Verdict {
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
	var all []Verdict
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
		all = append(all, Verdict{word == "ok", string(b)})
	}
	return all
}
