package pipeline

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// layOutMeasurements adds the reference, the validation of each engine that runs
// here, and one stage that times them all in turn.
func (j *job) layOutMeasurements() {
	texts := tokenizerFiles(j.config.Model.Path)
	texts["evaluate"] = j.config.Text.Evaluate
	files, _ := checkpoint(j.config.Model.Path) // read once already
	for name, path := range texts {
		files[name] = path
	}
	params := map[string]string{"window": fmt.Sprint(j.config.Text.Window), "convention": j.config.Text.Convention, "threads": fmt.Sprint(j.threads)}
	runtime := "reference"
	if bundle := j.config.Reference.Bundle; bundle != "" {
		params["source"] = "recorded"
		runtime = ""
		files["bundle"], files["bundle data"] = filepath.Join(bundle, validate.HeaderFile), filepath.Join(bundle, validate.DataFile)
		if noise := filepath.Join(bundle, task.NoiseFile); exists(noise) {
			files["bundle noise"] = noise
		}
	} else {
		params["source"] = "live, " + runtimes.TextOf("reference")
	}
	j.reference = j.add(&stage{name: "reference", revision: 3, runtime: runtime, files: files, params: params, run: j.runReference})
	var timed []*stage
	var gpu map[string]string // that some of them run on
	for _, e := range j.engines {
		if e.idle = idleFor(e); e.idle != "" {
			continue
		}
		on := map[string]string{"onnxruntime": runtimes.VersionOf("ort")}
		if e.Backend != "ortcpu" {
			on = map[string]string{"gpu": task.FirstGPU(context.Background()).String()}
			gpu = on
		}
		measured := map[string]string{"window": fmt.Sprint(j.config.Text.Window), "convention": j.config.Text.Convention, "threads": fmt.Sprint(j.threads), "seed": fmt.Sprint(j.config.Run.Seed)}
		maps.Copy(measured, on)
		e.validate = j.add(&stage{name: "validate/" + e.Name(), revision: 4, runtime: runtimeOf(e.Backend), needs: []*stage{e.build, j.reference}, files: texts,
			params: measured, run: func(ctx context.Context, dir string, p progress.Counter) error { return j.runValidate(ctx, e, dir, p) }})
		timed = append(timed, e.build)
	}
	if len(timed) > 0 {
		if trace := j.config.Workload.Trace; trace != "" {
			texts = maps.Clone(texts) // validation does not read it
			texts["trace"] = trace
		}
		settings := map[string]string{
			"workload": encode(j.config.Workload), "repetitions": fmt.Sprint(j.config.Run.Repetitions), "seed": fmt.Sprint(j.config.Run.Seed),
			"threads": fmt.Sprint(j.threads), "onnxruntime": runtimes.VersionOf("ort"), "cpu": ort.CPU(),
		}
		if j.config.Run.Until != "" {
			settings["until"] = j.config.Run.Until
		}
		if n := j.config.Run.Warmup; n != nil {
			settings["warmup"] = fmt.Sprint(*n)
		}
		maps.Copy(settings, gpu)
		j.bench = j.add(&stage{name: "bench", revision: 3, runtime: "ort", needs: timed, files: texts, params: settings, run: j.runBench})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
