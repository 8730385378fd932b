package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
)

// binary is what `make build` made; `make bench` runs at the repository's root.
const binary = "bin/trtforge"

//go:embed py
var scripts embed.FS

// self starts a side that is this program.
func self(args ...string) (*side, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start("trtforge "+args[0], append([]string{exe, "side"}, args...))
}

// runSide is the program as a side.
func runSide(args []string) error {
	sides := map[string]func([]string) error{
		"export": exportSide, "trace": traceSide, "tracejson": traceJSONSide, "lm": lmSide, "loop": loopSide,
		"ptq": ptqSide, "anchor-ptq": anchorSide, "validate": validateSide, "build": buildSide, "anchor-build": anchorBuildSide,
	}
	run := sides[args[0]]
	if run == nil {
		return fmt.Errorf("there is no side %q", args[0])
	}
	return run(args[1:])
}

// python starts a side that is a script of py/, in the environment that has
// torch, transformers, onnx and onnxruntime.
func python(script string, args ...string) (*side, error) {
	argv, err := pythonArgs("oracle", script, args...)
	if err != nil {
		return nil, err
	}
	return start(script, argv)
}

// pythonArgs is the command line of a script of py/ in an installed runtime.
func pythonArgs(runtime, script string, args ...string) ([]string, error) {
	r, ok := runtimes.Find(runtime)
	if !ok {
		return nil, fmt.Errorf("runtime %s is not installed: run trtforge setup %s", runtime, runtime)
	}
	text, err := scripts.ReadFile("py/" + script)
	if err != nil {
		return nil, err
	}
	return append([]string{r.Python, "-c", string(text)}, args...), nil
}

// gpt2 is a random checkpoint of GPT-2 124M in the workshop, made once.
func (w *workshop) gpt2() (string, error) {
	dir := w.path("gpt2")
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, export.Random(dir, small, 1)
}

// withModel infers the contract of a graph.
func withModel(path string, use func(*contract.Contract)) error {
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	c, err := contract.Infer(m)
	if err == nil {
		use(c)
	}
	return err
}

func engineBytes(path string) (int64, error) {
	m, err := engine.LoadManifest(path)
	if err != nil {
		return 0, err
	}
	return m.Bytes, nil
}
