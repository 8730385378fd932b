package main

import (
	"maps"

	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/ortcuda"
	"github.com/trtforge/trtforge/engine/orttrt"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
)

// runChild serves as the ONNX Runtime child where the hidden first argument says
// so: this process then loads the library, and the parent does not.
func runChild(args []string) (code int, child bool) {
	if len(args) == 0 || args[0] != ort.Command {
		return 0, false
	}
	return ort.Serve(childJobs()), true
}

// childJobs is every job that the child knows.
func childJobs() map[string]child.Job {
	all := maps.Clone(jobs.All())
	all[ortcpu.JobOptimise] = ortcpu.OptimiseJob
	all[orttrt.JobBuild] = orttrt.Build
	all[ortcuda.JobBuild] = ortcuda.Build
	return all
}
