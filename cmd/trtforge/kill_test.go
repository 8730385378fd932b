package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/testenv"
)

// marker is an environment variable that a run and all its descendants carry,
// so that survivors are found whatever group or session they moved to.
const marker = "TRTFORGE_TEST_RUN"

// grace is how long the processes of a killed run may take to end.
const grace = 5 * time.Second

// TestKilledRunsResume kills the main process of a run at a uniform random moment
// and demands that its children end by themselves, and that the same command then
// comes to the summary of a run that nobody disturbed. With TRTFORGE_FULL=1 it is
// 20 runs of the whole demo; TRTFORGE_KILL_REFERENCE=recorded spares them PyTorch.
func TestKilledRunsResume(t *testing.T) {
	testenv.ORT(t)
	testenv.Python(t, "rtx")
	k := newKiller(t)
	begun := time.Now()
	want, seen := k.undisturbed(t)
	whole := time.Since(begun)
	if seen == 0 {
		t.Fatal("no child of a run carries its marker: survivors would go unseen")
	}
	t.Logf("undisturbed: %.1f s, at most %d processes beside the main one", whole.Seconds(), seen)
	random := rand.New(rand.NewPCG(uint64(k.runs), 3))
	for i := range k.runs {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			k.once(t, want, func() time.Duration { return time.Duration(random.Int64N(int64(whole))) })
		})
	}
}

// killer is what the runs share: the program, and what it is to run.
type killer struct {
	program, reference, toml string
	runs                     int
}

func newKiller(t *testing.T) *killer {
	t.Helper()
	k := &killer{program: filepath.Join(t.TempDir(), "trtforge"), reference: "recorded", runs: 2}
	if out, err := exec.Command("go", "build", "-o", k.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	text := t.TempDir()
	for _, part := range []string{"calibrate", "evaluate"} {
		if err := os.WriteFile(filepath.Join(text, part+".txt"), testenv.DemoText(t, part), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	demo := filepath.Join(testenv.Root(t), "examples", "demo")
	b, err := os.ReadFile(filepath.Join(demo, "pipeline.toml"))
	if err != nil {
		t.Fatal(err)
	}
	k.toml = strings.NewReplacer(`"model"`, quote(demo, "model"), `"reference"`, quote(demo, "reference"),
		`"../../build/demo/text/`, `"`+text+"/", `"../../build/demo"`, `"out"`).Replace(string(b))
	if os.Getenv("TRTFORGE_FULL") == "" {
		k.toml = brief(k.toml)
		return k
	}
	k.runs, k.reference = 20, "live"
	if r := os.Getenv("TRTFORGE_KILL_REFERENCE"); r != "" {
		k.reference = r
	}
	if k.reference == "live" {
		testenv.Python(t, "reference")
	}
	return k
}

func quote(dir, name string) string { return `"` + filepath.Join(dir, name) + `"` }

// brief keeps one engine of each backend and few repetitions: seconds a run.
func brief(toml string) string {
	parts := strings.Split(toml, "[[engine]]")
	last, gates, _ := strings.Cut(parts[len(parts)-1], "# The study's gates")
	kept := parts[0] + "[[engine]]" + parts[3] + "[[engine]]" + last + "# The study's gates" + gates
	return strings.Replace(kept, "repetitions = 20", "repetitions = 2", 1)
}

// start begins a run in dir, which talks into dir's talk.log.
func (k *killer) start(t *testing.T, dir, mark string) *exec.Cmd {
	t.Helper()
	path := filepath.Join(dir, "pipeline.toml")
	if err := os.WriteFile(path, []byte(k.toml), 0o644); err != nil {
		t.Fatal(err)
	}
	// A file rather than a pipe: the output of a survivor must not hold up Wait.
	log, err := os.OpenFile(filepath.Join(dir, "talk.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	c := exec.Command(k.program, "run", path, "--reference", k.reference, "-v")
	c.Env = append(os.Environ(), marker+"="+mark, "TRTFORGE_STORE="+filepath.Join(dir, "engines"))
	c.Stderr = log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	return c
}

// undisturbed is the summary of a run that is left alone, and the most
// processes that it had beside the main one.
func (k *killer) undisturbed(t *testing.T) (summary []byte, most int) {
	t.Helper()
	dir := freshDir(t)
	mark := newMark()
	c := k.start(t, dir, mark)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, talkOf(dir))
			}
			if left := marked(t, mark); len(left) > 0 {
				t.Errorf("a run that ended left %v", left)
			}
			return settled(t, dir), most
		case <-tick.C:
			most = max(most, len(marked(t, mark))-1)
		}
	}
}

// once kills one run and resumes it.
func (k *killer) once(t *testing.T, want []byte, moment func() time.Duration) {
	dir, at := k.killed(t, moment)
	again := k.start(t, dir, newMark())
	if err := again.Wait(); err != nil {
		t.Fatalf("killed after %v, the run that resumes: %v\n%s", at, err, talkOf(dir))
	}
	if got := settled(t, dir); !bytes.Equal(got, want) {
		t.Errorf("killed after %v, the summary is another one:\n%s\nundisturbed:\n%s", at, got, want)
	}
	noHalves(t, dir)
}

// killed is the directory of a run that was killed before it ended, and when. A
// run that ended before its moment was not killed, so another one takes its place.
func (k *killer) killed(t *testing.T, moment func() time.Duration) (dir string, at time.Duration) {
	t.Helper()
	for range 20 {
		dir, at = freshDir(t), moment()
		mark := newMark()
		c := k.start(t, dir, mark)
		time.Sleep(at)
		had := marked(t, mark)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		err := c.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
			if err != nil {
				t.Fatalf("before it was killed: %v\n%s", err, talkOf(dir))
			}
			continue
		}
		t.Logf("killed after %v with %d processes, the last of which ended %v later", at.Round(time.Millisecond), len(had), bereaved(t, mark))
		return dir, at
	}
	t.Fatal("every run ended before its moment")
	return "", 0
}

// bereaved waits for the processes of a killed run to end, which they must do
// within grace, and says how long it took.
func bereaved(t *testing.T, mark string) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		left := marked(t, mark)
		took := time.Since(begun)
		if len(left) == 0 {
			return took.Round(time.Millisecond)
		}
		if took > grace {
			t.Errorf("%v after the kill these live: %v", grace, left)
			for _, p := range left {
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
			return took
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// process is one of a run's.
type process struct {
	pid     int
	command string
}

// marked are the living processes that carry the mark.
func marked(t *testing.T, mark string) []process {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var all []process
	for _, path := range environs {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(marker+"="+mark+"\x00")) {
			continue // it ended, or is somebody else's; of a zombie this is empty
		}
		var p process
		_, _ = fmt.Sscanf(path, "/proc/%d/environ", &p.pid)
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		p.command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		all = append(all, p)
	}
	return all
}

func newMark() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// freshDir is a new directory that always has the same name, which is in the
// summary.
func freshDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// settled is the summary without what was measured, byte for byte: the order of
// its keys is kept.
func settled(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "out", "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	measured, found := whole["measured"]
	before, after, cut := bytes.Cut(b, measured)
	if !found || !cut {
		t.Fatal("the summary has no measured part")
	}
	return append(before, after...)
}

// noHalves demands that nothing half-written is left below dir.
func noHalves(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), fsx.TempPrefix) {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func talkOf(dir string) []byte {
	b, _ := os.ReadFile(filepath.Join(dir, "talk.log"))
	return b
}
