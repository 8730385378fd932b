package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// good is a pipeline file; here is a directory with what it names.
const good = `
[model]
path = "model"
[[workload.scenario]]
name = "chat"
batch = 1
prompt_tokens = 8
new_tokens = 4
[text]
calibrate = "c.txt"
evaluate = "e.txt"
[[engine]]
backend = "ortcpu"
precision = "int8"
`

func here(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.MkdirAll(filepath.Join(dir, "model"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"c.txt", "e.txt"} {
		write(t, filepath.Join(dir, name), name)
	}
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadMakesPathsAbsoluteAndFillsIn(t *testing.T) {
	dir := here(t)
	write(t, filepath.Join(dir, "p.toml"), good)
	t.Chdir(dir)
	c, err := Load("p.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "shop" || c.Model.Path != filepath.Join(dir, "model") || c.Text.Evaluate != filepath.Join(dir, "e.txt") || c.Output.Dir != filepath.Join(dir, "build") {
		t.Errorf("name %q, paths %q %q %q", c.Name, c.Model.Path, c.Text.Evaluate, c.Output.Dir)
	}
	if c.Reference.Bundle != "" {
		t.Errorf("a bundle that the file does not name: %q", c.Reference.Bundle)
	}
	got := fmt.Sprint(c.Profiles.Strategy, c.Workload.Mode, c.Text.Samples, c.Run.Repetitions, c.Workload.Scenarios[0].Weight)
	if want := fmt.Sprint("auto", "cached", 64, 10, 1.0); got != want {
		t.Errorf("filled in %s, want %s", got, want)
	}
}

// The same file from another directory must be the same pipeline.
func TestLoadDoesNotDependOnTheWorkingDirectory(t *testing.T) {
	dir := here(t)
	write(t, filepath.Join(dir, "p.toml"), good)
	t.Chdir(t.TempDir())
	c, err := Load(filepath.Join(dir, "p.toml"))
	if err != nil || c.Output.Dir != filepath.Join(dir, "build") {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"syntax":               {`path = "model"`, "path = model", "p.toml:3"},
		"type":                 {"batch = 1", `batch = "one"`, "line 6"},
		"number too large":     {"batch = 1", "batch = 99999999999999999999", "p.toml:6"},
		"unknown key":          {"batch = 1", "batch = 1\nbtach = 2", `p.toml:7: unknown key "workload.scenario.btach"`},
		"unknown table":        {"[text]", "[txet]\nx = 1\n[text]", `p.toml:9: unknown key "txet"`},
		"unknown quoted":       {"[text]", "[text]\n'x y' = 1", `p.toml:10: unknown key`},
		"unknown dotted":       {"\n[model]", "run.thread = 2\n[model]", `p.toml:1: unknown key "run.thread"`},
		"same name elsewhere":  {"[text]", "[text]\nbatch = 4", `p.toml:10: unknown key "text.batch"`},
		"no model":             {`path = "model"`, "", "[model] path is missing"},
		"model not there":      {`"model"`, `"mdoel"`, "mdoel: no such file"},
		"text not there":       {"e.txt", "f.txt", "f.txt: no such file"},
		"no text":              {`evaluate = "e.txt"`, "", "[text] evaluate is missing"},
		"int8 without text":    {`calibrate = "c.txt"`, "", "[text] calibrate is missing"},
		"chunks":               {"[text]", "[workload]\nchunk = -8\n[text]", "chunk -8"},
		"padded past":          {"[text]", "[workload]\npadded_past = true\n[text]", "nothing before them"},
		"optimum":              {"[text]", "[profiles]\nopt = \"best\"\n[text]", `opt "best"`},
		"trace":                {"[text]", "[workload]\ntrace = \"none.jsonl\"\n[text]", "[workload] trace: "},
		"strategy":             {"[text]", "[profiles]\nstrategy = \"best\"\n[text]", `strategy "best"`},
		"mode":                 {"\n[model]", "workload.mode = \"fast\"\n[model]", `mode "fast"`},
		"backend":              {`"ortcpu"`, `"trt"`, `backend "trt"`},
		"precision":            {`"int8"`, `"int4"`, `precision "int4"`},
		"target on the cpu":    {`"int8"`, "\"int8\"\ntarget = \"sm86\"", "target belongs to rtx"},
		"engine twice":         {`"int8"`, "\"int8\"\n[[engine]]\nbackend = \"ortcpu\"\nprecision = \"int8\"", "asked for twice"},
		"batch":                {"batch = 1", "batch = 0", `scenario "chat": batch`},
		"weight":               {"batch = 1", "batch = 1\nweight = nan", "weight NaN is not a share"},
		"scenario twice":       {"[text]", "[[workload.scenario]]\nname=\"chat\"\nbatch=1\nprompt_tokens=1\nnew_tokens=1\n[text]", `name "chat" is empty or taken`},
		"gate of no precision": {"[text]", "[gate.int4]\nppl_ratio_max = 1.1\n[text]", "[gate.int4]"},
		"unknown gate":         {"[text]", "[gate.int8]\nppl_max = 1.1\n[text]", "no gate is called ppl_max"},
		"memory":               {"[text]", "[run]\nmemory_limit = \"8 GB\"\n[text]", "MiB, GiB or TiB"},
		"timeout":              {"[text]", "[run]\ntimeout = \"ten\"\n[text]", "[run] timeout"},
		"timeout of nothing":   {"[text]", "[run]\ntimeout = \"0s\"\n[text]", "0s is not a limit"},
		"precision of nothing": {"[text]", "[run]\nuntil = \"0%\"\n[text]", "[run] until \"0%\": want a share"},
		"warmup":               {"[text]", "[run]\nwarmup = -1\n[text]", "[run] warmup -1"},
		"no role":              {"[text]", "[inputs]\ninput_ids = [\"batch\", \"length\"]\n[text]", `p.toml:10: input_ids: dimension 1: "length" is no role`},
		"no shape":             {"[text]", "[inputs]\ninput_ids = [1.5]\n[text]", `p.toml:10: input_ids: dimension 0: 1.5 is neither`},
		"a range upside down":  {"[text]", "[inputs]\nx = [\"9..3\"]\n[text]", "p.toml:10: x: dimension 0"},
		"negative":             {"[text]", "[run]\nthreads = -1\n[text]", "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(here(t), "p.toml")
			text := strings.Replace(good, test.old, test.new, 1)
			if text == good {
				t.Fatalf("%q is not in the file", test.old)
			}
			write(t, path, text)
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if got := fault.Exit(err); got != 2 {
				t.Errorf("exit status %d, want 2", got)
			}
		})
	}
}

func TestLoadSaysEverythingAtOnce(t *testing.T) {
	path := filepath.Join(here(t), "p.toml")
	write(t, path, "[model]\npth = \"x\"\n[profiles]\nstrategy = \"best\"\n[[engine]]\nbackend = \"trt\"\nprecision = \"int8\"\nspeed = 9\n")
	_, err := Load(path)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"p.toml:2", "p.toml:8", "[model] path", "workload.scenario", `"best"`, `"trt"`, "calibrate", "evaluate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in: %v", want, err)
		}
	}
}

func TestLoadOfWhatIsNoPipeline(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long.toml")
	write(t, long, strings.Repeat("#", maxConfig+1))
	for _, path := range []string{filepath.Join(t.TempDir(), "absent.toml"), t.TempDir(), long, "/dev/zero"} {
		var f *fault.Error
		if _, err := Load(path); !errors.As(err, &f) || f.Code != fault.Usage || f.Fix == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestLimits(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "1MiB": 1 << 20, "8GiB": 8 << 30, "3TiB": 3 << 40} {
		if got, err := (RunConfig{MemoryLimit: text}).memory(); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"8", "8GB", "0GiB", "-1GiB", "1.5GiB", "999999999TiB", "8GiB ", "１GiB"} {
		if got, err := (RunConfig{MemoryLimit: text}).memory(); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	if got, err := (RunConfig{Timeout: "1h30m"}).timeout(); err != nil || got != 90*time.Minute {
		t.Errorf("timeout %v, %v", got, err)
	}
}

// FuzzLoad holds that any text is either a pipeline that keeps the rules or an
// error of class usage.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("[[engine]]\nbackend=1")
	f.Add("a.b.c = [[1], {x = 2}]\n\"\\u0000\" = inf")
	f.Add("[[[")
	f.Add("gate = 3\n[workload]\nscenario = [{name='a', batch=1}]")
	path := filepath.Join(here(f), "p.toml")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(path, []byte(text))
		if err != nil {
			if got := fault.Exit(err); got != 2 {
				t.Fatalf("exit status %d: %v", got, err)
			}
			return
		}
		if len(c.Engines) == 0 || len(c.Workload.Scenarios) == 0 || !filepath.IsAbs(c.Output.Dir) || len(c.check()) > 0 {
			t.Errorf("accepted %+v", c)
		}
	})
}
