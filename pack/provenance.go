package pack

import (
	"fmt"
	"slices"
	"strings"
)

// readme says what the repository is and where it comes from.
func (m Model) readme() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nA model repository for Triton %s, written by trtforge. In NVIDIA's container of that release, here:\n\n", m.Name, m.Release)
	if m.Graph != "" {
		fmt.Fprintf(&b, `    docker run --rm --gpus all -p 8000-8002:8000-8002 -e NVIDIA_TF32_OVERRIDE=0 \
        -v "$PWD":/models:ro -v trt-cache:%s \
        IMAGE tritonserver --model-repository=/models

The server builds the TensorRT engine of the graph when it first loads the model, and
keeps it in the volume trt-cache, under the release and the graph's digest. The variable
keeps float32 products from being rounded to TF32. Every request must lie inside the one
profile:

`, cachePath)
	} else {
		b.WriteString(`    docker run --rm --gpus all -p 8000-8002:8000-8002 -v "$PWD":/models:ro \
        IMAGE tritonserver --model-repository=/models

The plan belongs to the TensorRT version and the GPU that it was built for. It holds these
profiles:

`)
	}
	b.WriteString("| profile | input | min | opt | max |\n|---|---|---|---|---|\n")
	for _, p := range m.Profiles {
		for _, r := range p.Inputs {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", p.Name, r.Input, list(r.Min), list(r.Opt), list(r.Max))
		}
	}
	if m.Graph != "" {
		fmt.Fprintf(&b, "\nThe graph has the digest %s.\n", m.Digest)
	}
	if e := m.Manifest; e != nil {
		what := "The plan is"
		if m.Graph != "" {
			what = "What was verified of it is"
		}
		fmt.Fprintf(&b, "\n%s the engine %s (manifest.json): %s, built by %s", what, e.Key, e.Achieved, e.Builder)
		if e.ModelDigest != "" {
			fmt.Fprintf(&b, " from the graph %s", e.ModelDigest)
		}
		b.WriteString(".\n")
		if e.Licence != "" && m.Plan != "" {
			fmt.Fprintf(&b, "It was %s.\n", e.Licence)
		}
	}
	for _, n := range append(slices.Clone(m.Notes), Redistribution) {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	fmt.Fprintf(&b, "\n%s\n", provesFiles)
	return b.String()
}
