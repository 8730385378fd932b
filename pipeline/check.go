package pipeline

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/profiles"
)

// check is everything that can be wrong before any work.
func (c *Config) check() []error {
	return slices.Concat(c.checkModel(), c.checkWorkload(), c.checkEngines(), c.Quantize.check(), c.checkText(), c.checkRun())
}

func (c *Config) checkModel() []error {
	var bad faults
	if c.Model.Path == "" {
		bad.add("[model] path is missing: the directory of a checkpoint")
	}
	if !slices.Contains([]export.Cache{export.Concat, export.Static}, c.Model.Cache) {
		bad.add("[model] cache %q: want concat or static", c.Model.Cache)
	}
	if c.Model.Capacity < 0 || c.Model.Capacity > 0 && c.Model.Cache != export.Static {
		bad.add("[model] capacity %d: it is the columns of a static cache, and of nothing else", c.Model.Capacity)
	}
	return bad
}

// checkWorkload is about shapes, and the profiles that hold them.
func (c *Config) checkWorkload() []error {
	var bad faults
	if len(c.Workload.Scenarios) == 0 {
		bad.add("no [[workload.scenario]]: without shapes there is nothing to build profiles for")
	}
	seen := map[string]bool{}
	for i, s := range c.Workload.Scenarios {
		if s.Name == "" || seen[s.Name] {
			bad.add("[[workload.scenario]] number %d: name %q is empty or taken", i+1, s.Name)
		}
		seen[s.Name] = true
		if s.Batch < 1 || s.PromptTokens < 1 || s.NewTokens < 1 {
			bad.add("scenario %q: batch, prompt_tokens and new_tokens must be 1 or more", s.Name)
		}
		if s.Weight < 0 || math.IsNaN(s.Weight) || math.IsInf(s.Weight, 0) {
			bad.add("scenario %q: weight %v is not a share", s.Name, s.Weight)
		}
	}
	if !slices.Contains([]profiles.Mode{profiles.Cached, profiles.Uncached, profiles.Both}, c.Workload.Mode) {
		bad.add("[workload] mode %q: want cached, uncached or both", c.Workload.Mode)
	}
	if c.Workload.Chunk < 0 {
		bad.add("[workload] chunk %d: want the tokens of a prompt that one pass takes, or 0 for all", c.Workload.Chunk)
	}
	if c.Workload.PaddedPast {
		bad.add("[workload] padded_past: this version measures prompts with nothing before them; `trtforge profiles derive` plans for it")
	}
	if !slices.Contains(profiles.Strategies, c.Profiles.Strategy) {
		bad.add("[profiles] strategy %q: want %s", c.Profiles.Strategy, strings.Join(profiles.Strategies, ", "))
	}
	if !slices.Contains([]string{"", "decode", "prefill", "median"}, c.Profiles.Opt) {
		bad.add("[profiles] opt %q: want decode, prefill or median", c.Profiles.Opt)
	}
	return bad
}

func (c *Config) checkEngines() []error {
	var bad faults
	if len(c.Engines) == 0 {
		bad.add("no [[engine]]: name at least one backend and precision")
	}
	seen := map[string]bool{}
	precisions := []engine.Precision{engine.FP32, engine.FP16, engine.BF16, engine.INT8, engine.W8}
	for _, e := range c.Engines {
		if backends := append([]string{"ortcpu", "rtx"}, local.Backends()...); !slices.Contains(backends, e.Backend) {
			bad.add("[[engine]] backend %q: want one of %s", e.Backend, strings.Join(backends, ", "))
		}
		if !slices.Contains(precisions, e.Precision) {
			bad.add("[[engine]] precision %q: want fp32, fp16, bf16, int8 or w8", e.Precision)
		}
		if e.Backend == "ortcpu" && e.Precision == engine.BF16 {
			bad.add("[[engine]] ortcpu-bf16: ONNX Runtime's CPU has no BF16 products; rtx has")
		}
		if seen[e.Name()] {
			bad.add("[[engine]] %s is asked for twice", e.Name())
		}
		if e.Backend == "rtx" {
			if err := rtx.CheckTarget(e.Target); err != nil {
				bad.add("[[engine]] %s: %w", e.Name(), err)
			}
		}
		if e.Backend == local.CUDA && (e.Precision == engine.INT8 || e.Precision == engine.W8) {
			bad.add("[[engine]] %s: the CUDA provider multiplies such graphs in float; orttrt and rtx do not", e.Name())
		}
		if e.Backend != "rtx" && e.Target != "" {
			bad.add("[[engine]] %s: target belongs to rtx", e.Name())
		}
		seen[e.Name()] = true
	}
	for precision, limits := range c.Gates {
		if err := gate.CheckPrecision(precision); err != nil {
			bad = append(bad, err)
		}
		if err := gate.Check(precision, limits); err != nil {
			bad = append(bad, err)
		}
	}
	return bad
}

func (c *Config) checkText() []error {
	var bad faults
	quantized := slices.ContainsFunc(c.Engines, func(e EngineConfig) bool { return e.Precision == engine.INT8 })
	if quantized && c.Text.Calibrate == "" {
		bad.add("[text] calibrate is missing: an int8 engine is calibrated on real text")
	}
	if c.Text.Evaluate == "" {
		bad.add("[text] evaluate is missing: no engine is let out without a perplexity")
	}
	for _, p := range [][2]string{{"[model] path", c.Model.Path}, {"[text] calibrate", c.Text.Calibrate}, {"[text] evaluate", c.Text.Evaluate}, {"[reference] bundle", c.Reference.Bundle}, {"[workload] trace", c.Workload.Trace}} {
		if p[1] == "" {
			continue
		}
		if _, err := os.Stat(p[1]); err != nil {
			bad.add("%s: %w", p[0], err)
		}
	}
	return bad
}

// checkRun is about how much is run, and within which limits.
func (c *Config) checkRun() []error {
	var bad faults
	if c.Run.Threads < 0 || c.Run.Repetitions < 1 || c.Text.Samples < 1 || c.Text.Window < 0 || c.Profiles.MaxProfiles < 0 {
		bad.add("[run] threads, repetitions, [text] window, samples and [profiles] max_profiles must not be negative")
	}
	if _, err := trial.ParseUntil(c.Run.Until); err != nil {
		bad.add("[run] until %w", err)
	}
	if c.Run.Warmup != nil && *c.Run.Warmup < 0 {
		bad.add("[run] warmup %d: want 0 or more, or leave it out", *c.Run.Warmup)
	}
	if _, err := c.Run.timeout(); err != nil {
		bad.add("[run] timeout: %w", err)
	}
	if _, err := c.Run.memory(); err != nil {
		bad.add("[run] memory_limit: %w", err)
	}
	return bad
}

// faults are what is wrong with a file, all of it.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }
