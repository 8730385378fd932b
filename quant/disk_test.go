package quant

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// limitedDir tells the child of TestFullDisk where to write.
const limitedDir = "TRTFORGE_TEST_LIMITED_DIR"

// TestFullDisk quantizes and converts in a process that may write 20,000 bytes a
// file: the system's own error comes out with its class and its remedy, and
// nothing is left, nor is the graph of an earlier run touched.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(limitedDir); dir != "" {
		saveLimited(t, dir)
		return
	}
	dir := t.TempDir()
	old := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(old, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), limitedDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "refused as it should be") {
		t.Fatalf("%v\n%s", err, out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v are left, %v", left, err)
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "earlier" {
		t.Errorf("the earlier graph is %q, %v", b, err)
	}
}

func saveLimited(t *testing.T, dir string) {
	q, _, err := Int8(quanttest.GPT2(t), nil, Policy{WeightOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20000, Max: 20000}); err != nil {
		t.Fatal(err)
	}
	err = onnx.Save(halfOf(t, q), filepath.Join(dir, "model.onnx"), onnx.SaveOptions{})
	var f *fault.Error
	if !errors.Is(err, syscall.EFBIG) || fault.Exit(err) != 5 || !errors.As(err, &f) || !strings.Contains(f.Fix, "free some space") {
		t.Fatalf("exit %d, %v", fault.Exit(err), err)
	}
	t.Logf("refused as it should be: %v", err)
}
