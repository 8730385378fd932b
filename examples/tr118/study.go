package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// study is study.toml: what is made and what is measured.
type study struct {
	Workload profiles.Workload `toml:"workload"`
	Shape    struct {
		Vocab     int64  `toml:"vocab"`
		Positions int64  `toml:"positions"`
		Seed      uint64 `toml:"seed"` // of the weights
	} `toml:"shape"`
	Models  []model                `toml:"model"`
	Text    text                   `toml:"text"`
	Measure measure                `toml:"measure"`
	Quick   quick                  `toml:"quick"`
	Gates   map[string]gate.Limits `toml:"gate"` // by precision
	RTX     bool                   `toml:"rtx"`  // TensorRT-RTX plans are built, too
	Output  struct {
		Dir string `toml:"dir"`
	} `toml:"output"`
}

// model is a member of the family.
type model struct {
	Name     string  `toml:"name"`
	Layers   int64   `toml:"layers"`
	Width    int64   `toml:"width"`
	Heads    int64   `toml:"heads"`
	Millions float64 `toml:"millions"` // parameters, as the study states them
}

// text is what INT8 is calibrated on and prompts are cut from.
type text struct {
	Calibrate string `toml:"calibrate"`
	Evaluate  string `toml:"evaluate"`
	Tokenizer string `toml:"tokenizer"` // a directory
	Samples   int    `toml:"samples"`   // of calibration
}

// measure is how often what is run.
type measure struct {
	Engines     []string `toml:"engines"`
	Modes       []string `toml:"modes"`
	Repetitions int      `toml:"repetitions"`
	Rounds      int      `toml:"rounds"` // that repetitions are spread over
	Seed        uint64   `toml:"seed"`   // of the order
}

// quick is what a short run does instead.
type quick struct {
	Models      []string `toml:"models"`
	Scenarios   []string `toml:"scenarios"`
	Repetitions int      `toml:"repetitions"`
	Rounds      int      `toml:"rounds"`
}

// The modes of a run. A prefill is a request for one token.
const (
	modePrefill  = "prefill"
	modeUncached = "uncached"
	modeCached   = "cached"
)

// engineNames are the systems that run on a CPU, in the order of the report.
var engineNames = []string{"torch", "torch-bf16", "torch-compile", "ortcpu-fp32", "ortcpu-fp16", "ortcpu-int8"}

// readStudy reads and checks a file; its paths become relative to where we are.
func readStudy(path string) (*study, error) {
	s := &study{}
	meta, err := toml.DecodeFile(path, s)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading the study", path, err, "mend the file")
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fault.New(fault.Usage, "reading the study", path, fmt.Sprintf("unknown keys %v", unknown), "remove them")
	}
	for _, p := range []*string{&s.Text.Calibrate, &s.Text.Evaluate, &s.Text.Tokenizer, &s.Output.Dir} {
		if !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return s, fault.Wrap(fault.Usage, "checking the study", path, s.check(), "mend the file or the flag")
}

// check is everything that can be wrong before any work.
func (s *study) check() error {
	var errs []error
	if len(s.Models) == 0 || len(s.Workload.Scenarios) == 0 {
		errs = append(errs, errors.New("there is nothing to run: no model or no scenario"))
	}
	for _, e := range s.Measure.Engines {
		if !slices.Contains(engineNames, e) {
			errs = append(errs, fmt.Errorf("engine %q: want %s", e, strings.Join(engineNames, ", ")))
		}
	}
	for _, m := range s.Measure.Modes {
		if !slices.Contains([]string{modePrefill, modeUncached, modeCached}, m) {
			errs = append(errs, fmt.Errorf("mode %q: want prefill, uncached or cached", m))
		}
	}
	if s.Measure.Repetitions < 1 || s.Measure.Rounds < 1 {
		errs = append(errs, errors.New("repetitions and rounds must be 1 or more"))
	}
	for precision, limits := range s.Gates {
		errs = append(errs, gate.Check(precision, limits))
	}
	return errors.Join(errs...)
}

// narrow keeps the models and scenarios of those names; none named keeps all.
func (s *study) narrow(models, scenarios []string) error {
	var errs []error
	s.Models, errs = pick(s.Models, models, func(m model) string { return m.Name }, errs)
	s.Workload.Scenarios, errs = pick(s.Workload.Scenarios, scenarios, func(c profiles.Scenario) string { return c.Name }, errs)
	return fault.Wrap(fault.Usage, "narrowing the study", "", errors.Join(errs...), "study.toml has the names")
}

func pick[T any](all []T, names []string, name func(T) string, errs []error) ([]T, []error) {
	if len(names) == 0 {
		return all, errs
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(t T) bool { return name(t) == n }) {
			errs = append(errs, fmt.Errorf("there is no %q", n))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return !slices.Contains(names, name(t)) }), errs
}

// shape is the model as export makes it.
func (s *study) shape(m model) export.Shape {
	return export.Shape{Layers: m.Layers, Width: m.Width, Heads: m.Heads, Vocab: s.Shape.Vocab, Positions: s.Shape.Positions}
}

// parameters is how many a GPT-2 with tied embeddings has: embeddings of tokens and
// positions, per layer four projections with biases and two norms, a last norm.
func (s *study) parameters(m model) int64 {
	w := m.Width
	return (s.Shape.Vocab+s.Shape.Positions)*w + m.Layers*(12*w*w+13*w) + 2*w
}

// published is what the study reported, study.json.
type published struct {
	Scenarios []profiles.Scenario
	Profiles  []struct{ Batch, Seq [3]int64 } `json:"profiles_gpt2_fp32"`
	Runs      struct {
		Total    int
		Degraded []struct {
			Backend, Mode string
			Count         int
		}
	}
	Crossover struct {
		Points []struct {
			Millions float64 `json:"params_millions"`
			ORT      float64 `json:"ort_cpu_tok_s"`
			Torch    float64 `json:"torch_gpu_tok_s"`
		}
		Fit struct {
			K  float64
			At float64    `json:"crossover_params_millions"`
			CI [2]float64 `json:"ci95_millions"`
		}
	}
}

func readPublished() (*published, error) {
	p := &published{}
	if err := json.Unmarshal(publishedJSON, p); err != nil {
		return nil, fault.Wrap(fault.Input, "reading what the study published", "published.json", err, "restore the file")
	}
	return p, nil
}

// exists tells whether a path is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
