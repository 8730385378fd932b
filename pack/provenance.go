package pack

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fsx"
)

// Checksums is the file of checksums, as `sha256sum -c` reads it.
const Checksums = "checksums.sha256"

// checksums writes the sha256 of every file below dir.
func checksums(dir string) error {
	sums, err := fsx.Digests(dir)
	if err != nil {
		return err
	}
	var lines []string
	for name, sum := range sums {
		lines = append(lines, fmt.Sprintf("%s  %s\n", sum, name))
	}
	slices.Sort(lines)
	return write(filepath.Join(dir, Checksums), strings.Join(lines, ""))
}

// readme says what the repository is and where it comes from.
func (m Model) readme() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nA model repository for Triton %s, written by trtforge. In NVIDIA's container of that release:\n\n", m.Name, m.Release)
	fmt.Fprintf(&b, "    docker run --gpus all -v $PWD:/models -v trt-cache:%s IMAGE tritonserver --model-repository=/models\n\n", cachePath)
	if m.Graph != "" {
		b.WriteString("The server builds the TensorRT engine from the graph when it loads the model, and keeps it in the\nvolume trt-cache: remove that when the graph changes. Every request must lie inside the one profile:\n\n")
	} else {
		b.WriteString("The plan belongs to the TensorRT version and the GPU that it was built for. It holds these profiles:\n\n")
	}
	b.WriteString("| profile | input | min | opt | max |\n|---|---|---|---|---|\n")
	for _, p := range m.Profiles {
		for _, r := range p.Inputs {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", p.Name, r.Input, list(r.Min), list(r.Opt), list(r.Max))
		}
	}
	if m.Manifest != nil {
		fmt.Fprintf(&b, "\nkey %s, %s, built by %s from the graph %s.\n", m.Manifest.Key, m.Manifest.Achieved, m.Manifest.Builder, m.Manifest.ModelDigest)
		if m.Manifest.Licence != "" {
			fmt.Fprintf(&b, "The engine was %s.\n", m.Manifest.Licence)
		}
	}
	for _, n := range append(slices.Clone(m.Notes), Redistribution) {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	fmt.Fprintf(&b, "\n`sha256sum -c %s` proves the files.\n", Checksums)
	return b.String()
}
