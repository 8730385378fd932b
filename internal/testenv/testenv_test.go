package testenv

import (
	"strings"
	"testing"
)

// recorder is a test whose end is observed instead of suffered.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Skip(args ...any)          { r.skipped, _ = args[0].(string); panic(r) }
func (r *recorder) Fatalf(_ string, a ...any) { r.failed, _ = a[len(a)-1].(string); panic(r) }

func observe(t *testing.T, f func(testing.TB)) (r *recorder) {
	t.Helper()
	r = &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	f(r)
	return r
}

func TestMissingRuntimeSkipsByNameUnlessRequired(t *testing.T) {
	t.Setenv("TRTFORGE_HOME", t.TempDir())
	t.Setenv("TRTFORGE_RTX_PYTHON", "")
	t.Setenv("TRTFORGE_REQUIRE", "ort,reference")
	ask := func(tb testing.TB) { Python(tb, "rtx") }
	if r := observe(t, ask); !strings.Contains(r.skipped, "setup rtx") || r.failed != "" {
		t.Errorf("not required: skipped %q, failed %q; want a skip that names the remedy", r.skipped, r.failed)
	}
	t.Setenv("TRTFORGE_REQUIRE", "ort,rtx")
	if r := observe(t, ask); !strings.Contains(r.failed, "rtx is not installed") || r.skipped != "" {
		t.Errorf("required: skipped %q, failed %q; want a failure that names it", r.skipped, r.failed)
	}
}

func TestMissingData(t *testing.T) {
	t.Setenv("TRTFORGE_DATA", t.TempDir())
	t.Setenv("TRTFORGE_REQUIRE", "")
	if r := observe(t, func(tb testing.TB) { WikiText(tb) }); !strings.Contains(r.skipped, "TRTFORGE_DATA") {
		t.Errorf("skipped %q, want the variable that would help", r.skipped)
	}
}
