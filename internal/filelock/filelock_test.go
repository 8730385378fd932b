package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// One holds a lock; who does not wait gets none, and who waits gets it next.
func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Try(path)
	if first == nil || err != nil {
		t.Fatal(first, err)
	}
	if second, err := Try(path); second != nil || err != nil {
		t.Fatalf("a second one got %v, %v", second, err)
	}
	waits := 0
	second, err := Wait(t.Context(), path, func() { waits++; first.Unlock() })
	if err != nil || waits != 1 {
		t.Fatalf("%v after %d calls of waiting", err, waits)
	}
	second.Unlock()
	third, err := Wait(t.Context(), path, func() { t.Error("nobody holds it") })
	if err != nil {
		t.Fatal(err)
	}
	third.Unlock()
}

func TestWaitingEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	if l, err := Wait(ctx, path, func() { cancel(why) }); l != nil || !errors.Is(err, why) {
		t.Errorf("got %v, %v", l, err)
	}
	if _, err := Try(filepath.Join(path, "below a file")); fault.Classify(err) != fault.Runtime {
		t.Errorf("class %s: %v", fault.Classify(err), err)
	}
}

// A lock whose file was removed, or put anew by another, is not the current one.
func TestCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	old, err := Try(path)
	if err != nil || !old.Current() {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if old.Current() {
		t.Error("its file is gone")
	}
	anew, err := Try(path)
	if err != nil || old.Current() || !anew.Current() {
		t.Errorf("%v, old %t, new %t", err, old.Current(), anew.Current())
	}
}
