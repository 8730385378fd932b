package shape

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// No file that can be loaded makes inference fail otherwise than by a reason.
func FuzzInfer(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "*.onnx"))
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Load(path)
		if err != nil {
			return // what Load refuses is onnx's to fuzz
		}
		defer func() { _ = m.Close() }()
		Follow(m)
		if err := Infer(m); err != nil && fault.Classify(err) != fault.Input {
			t.Fatalf("class %s: %v", fault.Classify(err), err)
		}
	})
}
