//go:build cgo

package trial

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// TestMain makes this binary the ONNX Runtime child too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		os.Exit(ort.Serve(jobs.All()))
	}
	os.Exit(m.Run())
}

// system is an engine in a real process of its own.
func system(t *testing.T, name string, m *onnx.Model) System {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	client := &ort.Client{Library: testenv.ORT(t), Log: t.Output()}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return System{Name: name, Model: jobs.Model{Path: path, Contract: c, Threads: 1}, Caller: client, Key: name}
}

// murderer kills the process of a system, once, while another one has its turn.
type murderer struct {
	progress.Counter
	t      *testing.T
	victim *ort.Client
	name   string
	killed bool
	states map[string]bool // what the kernel said of the victim during others' turns
}

func (m *murderer) Show(v View) {
	pid := m.victim.PID()
	if pid == 0 || m.killed || !v.Running || v.Turn.Engine == m.name {
		return
	}
	// A signal takes effect when the kernel gets to it.
	state := ""
	for range 200 {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			m.t.Error(err)
			return
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if state = rest[:1]; state == "T" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if m.states[state] = true; v.Done < 6 {
		return
	}
	m.killed = true
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		m.t.Error(err)
	}
}

// Three engines in three processes: one answers NaN, and the process of another is
// killed while it is halted. All is measured nevertheless.
func TestRealEngines(t *testing.T) {
	dir := t.TempDir()
	shape := export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 61, Positions: 32, Std: 0.3}
	if err := export.Random(dir, shape, 3); err != nil {
		t.Fatal(err)
	}
	graph := func() *onnx.Model {
		m, err := export.GPT2(dir, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	sick := graph()
	w := sick.Weight("transformer.ln_f.bias")
	values := make([]float32, shape.Width)
	values[1] = float32(math.NaN())
	sick.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
	one := 1
	trial := Trial{
		Systems: []System{system(t, "sound", graph()), system(t, "killed", graph()), system(t, "sick", sick)}, Repetitions: 6, Rounds: 3, Seed: 2,
		Warmup: bench.Warmup{Exactly: &one}, Timeout: time.Minute, Dir: t.TempDir(), CreatedBy: "trtforge test",
	}
	for _, mode := range []bench.Mode{bench.Cached, bench.Uncached} {
		trial.Cases = append(trial.Cases, bench.Case{Scenario: profiles.Scenario{Name: "s", Batch: 2, PromptTokens: 8, NewTokens: 4}, Mode: mode})
	}
	board := &murderer{Counter: progress.Noop, t: t, victim: trial.Systems[1].Caller.(*ort.Client), name: "killed", states: map[string]bool{}}
	out, err := trial.Run(t.Context(), board)
	if err != nil {
		t.Fatal(err)
	}
	if !board.killed || !board.states["T"] || len(board.states) > 1 {
		t.Errorf("killed %v; during the others' turns it was in the states %v", board.killed, board.states)
	}
	all := trial.Rows()
	for _, engine := range []string{"sound", "killed"} {
		for _, phase := range []string{bench.Decode, string(bench.Uncached)} {
			tpot, found := rows.Find(all, engine, "s", phase, bench.TPOT)
			if !found || tpot.N != 6 || tpot.Value <= 0 {
				t.Errorf("%s, %s: %+v", engine, phase, tpot)
			}
		}
		load, _ := rows.Find(all, engine, "", "", bench.Load)
		if load.N < 3 {
			t.Errorf("%s was opened %d times in three rounds", engine, load.N)
		}
	}
	failed, _ := rows.Find(all, "sick", "s", "", bench.Failed)
	if failed.Value != giveUp || failed.N != giveUp || !strings.HasPrefix(failed.Warnings[0], "non_finite") {
		t.Errorf("NaN: %+v", failed)
	}
	if _, found := rows.Find(all, "sick", "s", bench.Decode, bench.TPOT); found {
		t.Error("NaN has a time")
	}
	if out.Machine.CPU == "" || out.Machine.Threads != 1 {
		t.Errorf("machine %+v", out.Machine)
	}
}
