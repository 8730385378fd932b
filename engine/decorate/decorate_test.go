package decorate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// all is every decorator around a builder.
func all(t *testing.T, b engine.Builder) engine.Builder {
	t.Helper()
	c := Care{Log: slog.New(slog.DiscardHandler), Meet: t.TempDir(), Timeout: time.Minute, Need: func(engine.Request) int64 { return 1 << 60 }}
	b = c.Around(b)
	c.GPU = true
	return c.Around(b)
}

func request(t *testing.T) engine.Request {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.Request{Name: "good", Backend: "fake", Precision: engine.FP32, Model: model, ModelDigest: "abc"}
}

func TestDecoratedBuildersKeepTheContract(t *testing.T) {
	good := request(t)
	wrong := good
	wrong.Precision = engine.INT8
	enginetest.Run(t, func(t *testing.T) engine.Builder { return all(t, enginetest.Fake{Version: "1"}) }, good, wrong)
}

func TestTimeoutOfABuilderThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := around{enginetest.Fake{}, func(context.Context, engine.Request, string, progress.Counter) (*engine.Manifest, error) {
			<-release
			return &engine.Manifest{}, nil
		}}
		begin := time.Now()
		m, err := Timeout(deaf, time.Minute).Build(t.Context(), engine.Request{Name: "deaf"}, "", progress.Noop)
		if m != nil || fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), "longer than 1m0s") || time.Since(begin) != time.Minute+grace {
			t.Errorf("after %v: %v, %v", time.Since(begin), m, err)
		}
		close(release)
	})
}

func TestRetryOfADeathInAnEmptyDirectory(t *testing.T) {
	for _, c := range []struct {
		deaths int
		err    error
		builds int
		ok     bool
	}{
		{1, &child.Death{Reason: "was killed"}, 2, true},
		{9, &child.Death{Reason: "was killed"}, 3, false},
		{1, &child.Death{Reason: "took too long", Limit: true}, 1, false},
		{1, errors.New("refused"), 1, false},
	} {
		builds := 0
		b := around{enginetest.Fake{}, func(_ context.Context, _ engine.Request, dir string, _ progress.Counter) (*engine.Manifest, error) {
			builds++
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("build %d begins with %v, %v", builds, left, err)
			}
			if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if builds <= c.deaths {
				return nil, fault.Wrap(fault.Runtime, "building", "", c.err, "")
			}
			return &engine.Manifest{}, nil
		}}
		m, err := Retry(b, 2, Died).Build(t.Context(), engine.Request{}, t.TempDir(), progress.Noop)
		if (err == nil) != c.ok || builds != c.builds || (m != nil) != c.ok {
			t.Errorf("%v: %d builds, %v", c.err, builds, err)
		}
		if c.ok && (len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "was killed")) {
			t.Errorf("the manifest warns of %q", m.Warnings)
		}
	}
}

// most is how many builds ran at once.
func most(t *testing.T, limit Admission, builds int) int64 {
	t.Helper()
	var now, peak atomic.Int64
	b := Limit(around{enginetest.Fake{}, func(context.Context, engine.Request, string, progress.Counter) (*engine.Manifest, error) {
		if n := now.Add(1); n > peak.Load() {
			peak.Store(n)
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return nil, nil
	}}, limit, slog.New(slog.DiscardHandler))
	var wait sync.WaitGroup
	for range builds {
		wait.Go(func() {
			if _, err := b.Build(t.Context(), engine.Request{}, "", progress.Noop); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	return peak.Load()
}

func TestLimits(t *testing.T) {
	memory := func(total int64) Admission {
		return &Memory{Dir: filepath.Join(t.TempDir(), "m"), Total: total, Need: func(engine.Request) int64 { return 40 }}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		limit Admission
		most  int64
	}{
		"one GPU":                          {GPU(filepath.Join(t.TempDir(), "gpu")), 1},
		"memory for two":                   {memory(100), 2},
		"memory for none, so one runs":     {memory(1), 1},
		"memory that nobody knows, so one": {memory(-1), 1},
		"no place for tickets, so all":     {&Memory{Dir: filepath.Join(file, "m")}, 5},
	} {
		if n := most(t, c.limit, 5); n != c.most {
			t.Errorf("%s: %d at once, want %d", name, n, c.most)
		}
	}
}

// TestWhoWaitsCanBeCancelled: a build that never began leaves nothing taken.
func TestWhoWaitsCanBeCancelled(t *testing.T) {
	m := &Memory{Dir: t.TempDir(), Total: 1, Need: func(engine.Request) int64 { return 2 }}
	for name, a := range map[string]Admission{"gpu": GPU(filepath.Join(t.TempDir(), "gpu")), "memory": m} {
		leave, err := a.Enter(t.Context(), engine.Request{}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		if _, err := a.Enter(ctx, engine.Request{}, func() { cancel(stop) }); !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
		leave()
		leave, err = a.Enter(t.Context(), engine.Request{}, func() { t.Errorf("%s: something is still taken", name) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		leave()
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := GPU(filepath.Join(file, "gpu")).Enter(t.Context(), engine.Request{}, func() {}); fault.Classify(err) != fault.Runtime {
		t.Errorf("a lock that cannot be made: %v", err)
	}
}

func TestLog(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	good := request(t)
	bad := good
	bad.Precision = engine.INT8
	for _, r := range []engine.Request{good, bad} {
		_, _ = Log(enginetest.Fake{Version: "1"}, log).Build(t.Context(), r, t.TempDir(), progress.Noop)
	}
	for _, want := range []string{"build begins", "build done", "build failed", "the model is fp32", `builder="fake 1"`, "engine=good"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, b.String())
		}
	}
}

// TestMemoryOfTheDead: a ticket that nobody holds holds up nobody, and is removed.
func TestMemoryOfTheDead(t *testing.T) {
	m := &Memory{Dir: t.TempDir(), Total: 1, Need: func(engine.Request) int64 { return 2 }}
	if err := os.WriteFile(filepath.Join(m.Dir, "ticket-99-dead"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	leave, err := m.Enter(t.Context(), engine.Request{}, func() { t.Error("waits for the dead") })
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if left, _ := filepath.Glob(filepath.Join(m.Dir, "ticket-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
