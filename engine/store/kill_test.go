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
	"syscall"
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
	k := &killer{dir: dir, random: rand.New(rand.NewPCG(1, 2))}
	storms := 0
	for ; k.killed < kills; storms++ {
		k.storm(t, 3)
		k.whole(t, s)
		halves, err := s.Sweep(true)
		must(t, err)
		k.halves += halves
		if k.random.IntN(4) > 0 { // begin again, or all builds are hits soon
			_, err := s.Prune(t.Context(), Limits{MaxBytes: 1}, false)
			must(t, err)
		}
	}
	before := builds(t, dir)
	_, err = s.Prune(t.Context(), Limits{MaxBytes: 1}, false)
	must(t, err)
	k.storm(t, 0)
	if all := k.whole(t, s); all != targets {
		t.Errorf("%d engines of %d", all, targets)
	}
	if n := builds(t, dir) - before; n != targets {
		t.Errorf("%d builds of %d keys", n, targets)
	}
	swept, err := s.Sweep(false)
	must(t, err)
	entries, err := os.ReadDir(s.engines())
	must(t, err)
	if len(entries) != targets {
		t.Errorf("the store holds %v", entries)
	}
	t.Logf("%d processes killed in %d storms of four, %d ended by themselves, none is left; %d listed engines proved, %d half ones lay under no key; "+
		"then %d builds of %d keys, %d left for the sweep", k.killed, storms, k.ended, k.proved, k.halves, targets, targets, swept)
}

// builds is how many builds were completed so far.
func builds(t *testing.T, dir string) int {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	must(t, err)
	return strings.Count(string(log), "\n")
}

// killer counts what became of the processes of storms.
type killer struct {
	dir    string
	random *rand.Rand
	killed int // by us, while they ran
	ended  int // by themselves
	proved int // engines that were listed
	halves int // that storms left, under no key
}

// storm runs four builders and kills some of them at random times. Those that
// ended before their time count as ended.
func (k *killer) storm(t *testing.T, doomed int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range 4 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "STORE_TEST_DIR="+k.dir)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		must(t, c.Start())
		if i < doomed {
			time.AfterFunc(time.Duration(k.random.Int64N(int64(700*time.Millisecond))), func() { _ = c.Process.Kill() })
		}
		all.Go(func() {
			err := c.Wait()
			mu.Lock()
			defer mu.Unlock()
			status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
			switch {
			case i < doomed && status.Signaled():
				k.killed++
			case err != nil:
				t.Errorf("a builder that nobody killed: %v %s", err, stderr.String())
			default:
				k.ended++
			}
		})
	}
	over := make(chan struct{})
	go func() {
		all.Wait()
		close(over)
	}()
	for s := (&Store{dir: filepath.Join(k.dir, "store")}); ; {
		k.whole(t, s) // while they are at work
		select {
		case <-over:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// whole proves every listed engine and returns how many there are.
func (k *killer) whole(t *testing.T, s *Store) int {
	t.Helper()
	all, err := s.List()
	must(t, err)
	for _, l := range all {
		if _, err := s.Get(l.Key); err != nil {
			t.Errorf("listed and not whole: %v", err)
		}
	}
	k.proved += len(all)
	return len(all)
}
