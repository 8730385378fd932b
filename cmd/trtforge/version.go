package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/internal/runtimes"
)

// version is set by `make build` from the git tag; a plain go build says dev.
var version = "dev"

// createdBy stands in every file that trtforge writes.
func createdBy() string { return "trtforge " + version }

type versionInfo struct {
	Version  string            `json:"version"`
	Commit   string            `json:"commit,omitempty"`
	Modified bool              `json:"modified,omitempty"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Cgo      bool              `json:"cgo"`
	Pinned   map[string]string `json:"pinned"` // the runtimes that this binary installs
}

func newVersionCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version and the runtimes that this binary pins",
		Example: "  trtforge version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return g.print(v, v.write)
		},
	}
}

func readVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cgo: cgoEnabled, Pinned: runtimes.Pinned()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

func (v versionInfo) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "trtforge\t%s\n", v.Version)
	if v.Commit != "" {
		_, _ = fmt.Fprintf(t, "commit\t%s\n", v.Commit)
	}
	_, _ = fmt.Fprintf(t, "go\t%s %s\n", v.Go, v.Platform)
	for _, name := range runtimes.Names() {
		if p := v.Pinned[name]; p != "" {
			_, _ = fmt.Fprintf(t, "%s\t%s\n", name, p)
		}
	}
	return t.Flush()
}
