package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/testenv"
)

// TestKilledBuildsOfNvidiasBuilder kills processes that build plans of the demo with
// NVIDIA's builder into one store, at random moments. What is listed is whole at any
// time, no builder outlives who started it, and the same commands then come to one
// engine a key.
func TestKilledBuildsOfNvidiasBuilder(t *testing.T) {
	if os.Getenv("TRTFORGE_FULL") == "" {
		t.Skip("kills of NVIDIA's builder run with TRTFORGE_FULL=1; engine/store kills a fake one")
	}
	testenv.Python(t, "rtx")
	k := &plansKiller{dir: t.TempDir(), program: filepath.Join(t.TempDir(), "trtforge"), mark: newMark()}
	if out, err := exec.Command("go", "build", "-o", k.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	k.run(t, "export", filepath.Join(testenv.Root(t), "examples", "demo", "model"), "-o", "g")
	k.run(t, "profiles", "derive", "g", "--scenario", "chat=1x64+64", "-o", "plan.json")
	random := rand.New(rand.NewPCG(5, 6))
	for killed := 0; killed < 5; {
		killed += k.storm(t, random)
		k.whole(t)
		k.run(t, "engines", "prune", "--max-size", "1kB") // or every build is soon a hit
	}
	k.storm(t, nil)
	if n := k.whole(t); n != len(killTargets) {
		t.Errorf("%d engines of %d", n, len(killTargets))
	}
	noHalves(t, filepath.Join(k.dir, "store"))
}

// killTargets are those that are built: two processes want the first one.
var killTargets = []string{"sm86", "sm89", "sm120"}

type plansKiller struct{ dir, program, mark string }

func (k *plansKiller) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(k.program, args...)
	var said bytes.Buffer
	c.Dir, c.Stderr = k.dir, &said
	c.Env = append(os.Environ(), marker+"="+k.mark, "TRTFORGE_STORE="+filepath.Join(k.dir, "store"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c, &said
}

func (k *plansKiller) run(t *testing.T, args ...string) {
	t.Helper()
	c, said := k.command(args...)
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, said)
	}
}

// storm has four processes build, and kills two of them within the seconds that a
// build takes; with no random source none. It returns how many were killed.
func (k *plansKiller) storm(t *testing.T, random *rand.Rand) (killed int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range 4 {
		c, said := k.command("build", "g", "--plan", "plan.json", "--target", killTargets[i%len(killTargets)])
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		doomed := random != nil && i < 2
		if doomed {
			time.AfterFunc(time.Duration(random.Int64N(int64(5*time.Second))), func() { _ = c.Process.Kill() })
		}
		all.Go(func() {
			err := c.Wait()
			mu.Lock()
			defer mu.Unlock()
			if err != nil && doomed {
				killed++
			} else if err != nil {
				t.Errorf("a build that nobody killed: %v\n%s", err, said)
			}
		})
	}
	all.Wait()
	t.Logf("%d killed; the last builder ended %v later", killed, bereaved(t, k.mark))
	return killed
}

// whole proves every listed engine and returns how many there are.
func (k *plansKiller) whole(t *testing.T) int {
	t.Helper()
	s, err := store.View(filepath.Join(k.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	listed, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed {
		if _, err := s.Get(l.Key); err != nil {
			t.Errorf("listed and not whole: %v", err)
		}
	}
	return len(listed)
}
