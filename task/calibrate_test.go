package task

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweepLeavesTheNeighboursAlone is of two calibrations that run in one
// directory at once, the name of one beginning like that of the other.
func TestSweepLeavesTheNeighboursAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tmp-part-17", ".tmp-part-2-17", ".tmp-part-2-cut-17", ".tmp-part.json-17", "part-17"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepOf(dir, ".tmp-part-"); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if _, gone := os.Stat(filepath.Join(dir, ".tmp-part-17")); gone == nil || err != nil || len(left) != 4 {
		t.Errorf("left: %v, %v", left, err)
	}
}
