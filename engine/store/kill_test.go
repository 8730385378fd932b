package store

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/progress"
)

// TestMain lets this binary be one of several processes that build into a store.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_TEST_DIR"); dir != "" {
		if err := worker(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const targets = 3

// logging notes each completed build.
type logging struct {
	engine.Builder
	log string
}

// Build appends the key to the log once the engine is written. That is before
// the rename, so a kill in between leaves a line for an engine that never came.
func (l logging) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	m, err := l.Builder.Build(ctx, r, dir, p)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(l.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", m.Key, os.Getpid())
	_ = f.Close()
	return m, err
}

// worker builds every target once.
func worker(dir string) error {
	s, err := Open(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	b := logging{enginetest.Fake{Version: "1", Delay: 200 * time.Millisecond}, filepath.Join(dir, "log")}
	for i := range targets {
		r := engine.Request{Name: "fake", Backend: "fake", Precision: engine.FP32, Model: filepath.Join(dir, "model"), ModelDigest: "a", Target: fmt.Sprint(i)}
		if _, err := s.Build(context.Background(), b, r, progress.Noop); err != nil {
			return err
		}
	}
	return nil
}

// TestKillsOfConcurrentBuildsByAFakeBuilder kills processes at random times while
// four of them build into one store. What is listed must be whole at any moment,
// and the store must converge to one engine a key.
func TestKillsOfConcurrentBuildsByAFakeBuilder(t *testing.T) {
	kills := 12
	if os.Getenv("TRTFORGE_FULL") != "" {
		kills = 200
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "model"), bytes.Repeat([]byte("weights "), 4096), 0o600))
	s, err := Open(filepath.Join(dir, "store"))
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for killed := 0; killed < kills; {
		killed += storm(t, dir, random)
		whole(t, s)
		if random.IntN(3) == 0 { // begin again, or all builds are hits soon
			_, err := s.Prune(t.Context(), Limits{MaxBytes: 1}, false)
			must(t, err)
		}
	}
	must(t, os.Remove(filepath.Join(dir, "log")))
	_, err = s.Prune(t.Context(), Limits{MaxBytes: 1}, false)
	must(t, err)
	storm(t, dir, nil)
	if all := whole(t, s); all != targets {
		t.Errorf("%d engines of %d", all, targets)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	must(t, err)
	if n := strings.Count(string(log), "\n"); n != targets {
		t.Errorf("%d builds of %d keys:\n%s", n, targets, log)
	}
	_, err = s.Sweep()
	must(t, err)
	entries, err := os.ReadDir(s.engines())
	must(t, err)
	if len(entries) != targets {
		t.Errorf("the store holds %v", entries)
	}
}

// storm runs four builders and kills three of them at random times; with no
// random source it lets them end. It returns how many were killed.
func storm(t *testing.T, dir string, random *rand.Rand) int {
	t.Helper()
	var all sync.WaitGroup
	killed := 0
	for i := range 4 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "STORE_TEST_DIR="+dir)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		must(t, c.Start())
		doomed := random != nil && i > 0
		if doomed {
			killed++
			after := time.Duration(random.Int64N(int64(700 * time.Millisecond)))
			time.AfterFunc(after, func() { _ = c.Process.Kill() })
		}
		all.Add(1)
		go func() {
			defer all.Done()
			if err := c.Wait(); err != nil && !doomed {
				t.Errorf("a builder that nobody killed: %v %s", err, stderr.String())
			}
		}()
	}
	whole(t, &Store{dir: filepath.Join(dir, "store")}) // while they are at work
	all.Wait()
	return killed
}

// whole proves every listed engine and returns how many there are.
func whole(t *testing.T, s *Store) int {
	t.Helper()
	all, err := s.List()
	must(t, err)
	for _, l := range all {
		if _, err := s.Get(l.Key); err != nil {
			t.Errorf("listed and not whole: %v", err)
		}
	}
	return len(all)
}
