package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
)

// comparedEngines is what engines diff prints as JSON.
type comparedEngines struct {
	A    string `json:"a"` // the key
	B    string `json:"b"`
	Same bool   `json:"same"`
	engine.Comparison
}

func newEnginesDiffCommand(g *globals, open opener) *cobra.Command {
	var code bool
	c := &cobra.Command{
		Use: "diff A B", Short: "Compare two engines: precision, profiles, layers, size, time", Args: cobra.ExactArgs(2),
		Long: `Diff compares two engines by their manifests. Each is a key of the store, the directory
of an engine or its manifest. Times and peak memory are shown and never make a
difference: two builds of one request do not share them.
` + exitStatus,
		Example: `  trtforge engines diff 3f2a9c 77b01e
  trtforge engines diff --exit-code build/demo/stages/engine/rtx-fp16 build/demo/stages/engine/rtx-int8`,
		RunE: func(_ *cobra.Command, args []string) error {
			var both [2]*engine.Manifest
			for i, arg := range args {
				var err error
				if both[i], err = manifestOf(arg, open); err != nil {
					return err
				}
			}
			out := comparedEngines{A: both[0].Key, B: both[1].Key, Comparison: engine.Compare(both[0], both[1])}
			out.Same = out.Comparison.Same()
			if err := g.print(out, out.write); err != nil {
				return err
			}
			if code && !out.Same {
				return printed{fault.New(fault.Gate, "comparing", "engines", "they differ", "")}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&code, "exit-code", false, "end with status 1 if they differ")
	return c
}

// manifestOf reads the manifest that an argument names: one of the store, of a
// directory, or a file.
func manifestOf(arg string, open opener) (*engine.Manifest, error) {
	info, err := os.Stat(arg)
	if err != nil {
		s, err := open()
		if err != nil {
			return nil, err
		}
		e, err := chosen(s, arg)
		if err != nil {
			return nil, err
		}
		return e.Manifest, nil
	}
	if info.IsDir() {
		if err := store.Prove(arg); err != nil {
			return nil, err
		}
		arg = filepath.Join(arg, engine.ManifestFile)
	}
	return engine.LoadManifest(arg)
}

func (c comparedEngines) write(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "\t%.12s\t%.12s\t\n", c.A, c.B)
	for _, f := range c.Facts {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t\n", f.What, short(f.A), short(f.B))
	}
	for _, f := range c.Figures {
		text := func(v float64) string { return fmt.Sprintf("%.1f s", v/1000) }
		if f.Unit == "bytes" {
			text = func(v float64) string { return bytesText(int64(v)) }
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.What, text(f.A), text(f.B), growth(f.A, f.B))
	}
	for _, l := range c.Layers {
		_, _ = fmt.Fprintf(t, "layers: %s\t%d\t%d\t%+d\n", l.Layer, l.A, l.B, l.B-l.A)
	}
	_ = t.Flush() // into memory
	for _, line := range c.Profiles.Lines() {
		_, _ = fmt.Fprintln(&b, line)
	}
	if c.Same {
		b.WriteString("the engines are alike in all that a request asks for\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// growth is how a figure becomes another: by which part, or from ten times on as how
// many times.
func growth(a, b float64) string {
	if a = max(a, 1); b >= 10*a {
		return fmt.Sprintf("%.0fx", b/a)
	}
	return fmt.Sprintf("%+.1f %%", 100*(b/a-1))
}

// short keeps a digest readable.
func short(s string) string {
	if s == "" {
		return "-"
	}
	if len(s) == 64 && !strings.ContainsAny(s, " .") {
		return s[:12]
	}
	return s
}
