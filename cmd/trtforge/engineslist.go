package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
)

// listedEngine is a line of `engines ls`.
type listedEngine struct {
	Key       string           `json:"key"`
	Backend   string           `json:"backend,omitempty"`
	Precision engine.Precision `json:"precision,omitempty"`
	Target    string           `json:"target,omitempty"`
	Model     string           `json:"model,omitempty"` // the digest of the graph; of an adopted engine it is not known
	Profiles  int              `json:"profiles"`
	Bytes     int64            `json:"bytes"`             // of the engine itself, as build tells it; 0 where it is damaged
	OnDisk    int64            `json:"on_disk"`           // with everything beside it
	Used      string           `json:"used,omitempty"`    // RFC 3339
	Adopted   bool             `json:"adopted,omitempty"` // nobody here built it
	Damage    string           `json:"damage,omitempty"`
	Newer     bool             `json:"newer,omitempty"` // a later program's, and whole
}

func newEnginesListCommand(g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the engines of the store", Args: cobra.NoArgs,
		Long: `Ls lists the engines of the store. It reads their manifests, not their files: one whose
manifest is not what was sealed says so, and what is wrong with the files themselves is
for engines verify to find.
` + exitStatus,
		Example: "  trtforge engines ls --json",
		RunE: func(*cobra.Command, []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			all, err := s.List()
			if err != nil {
				return err
			}
			return g.printEngines(all, "")
		},
	}
}

// printEngines prints entries as lines, and last how many there are and what was done
// to them.
func (g *globals) printEngines(all []store.Listed, done string) error {
	lines := make([]listedEngine, 0, len(all))
	var onDisk int64
	for _, l := range all {
		line := listedEngine{Key: l.Key, OnDisk: l.Bytes, Newer: l.Newer()}
		onDisk += l.Bytes
		if l.Damage != nil {
			line.Damage = l.Damage.Error()
		} else {
			m := l.Entry.Manifest
			line.Backend, line.Precision, line.Target, line.Profiles = m.Backend, m.Precision, m.Target, len(m.Profiles)
			line.Model, line.Bytes, line.Adopted = m.ModelDigest, m.Bytes, m.Adopted
			line.Used = l.Entry.Used.UTC().Format(time.RFC3339)
		}
		lines = append(lines, line)
	}
	return g.print(lines, func(w io.Writer) error {
		if len(lines) == 0 {
			return nil
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "KEY\tBACKEND\tPRECISION\tTARGET\tMODEL\tPROFILES\tSIZE\tON DISK\tUSED")
		for _, l := range lines {
			l.write(t)
		}
		_, _ = fmt.Fprintf(t, "%s, %s on disk%s\n", plural(len(lines), "engine"), bytesText(onDisk), done)
		return t.Flush()
	})
}

// write is a line of the table.
func (l listedEngine) write(w io.Writer) {
	if l.Damage != "" {
		word := "damaged"
		if l.Newer {
			word = "newer"
		}
		_, _ = fmt.Fprintf(w, "%.12s\t%s\t%s\n", l.Key, word, strings.ReplaceAll(l.Damage, "\n", "; "))
		return
	}
	precision := orDash(string(l.Precision))
	if l.Adopted {
		precision += " (adopted)"
	}
	_, _ = fmt.Fprintf(w, "%.12s\t%s\t%s\t%s\t%.12s\t%d\t%s\t%s\t%s\n",
		l.Key, l.Backend, precision, targetText(l.Backend, l.Target, l.Adopted), orDash(l.Model), l.Profiles, bytesText(l.Bytes), bytesText(l.OnDisk), l.Used)
}

// targetText is the GPU that an engine is for; without one an engine of rtx was built
// for all, and others belong to the machine that their builder names.
func targetText(backend, target string, adopted bool) string {
	if target == "" && backend == "rtx" && !adopted {
		return "portable"
	}
	return orDash(target)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newEnginesShowCommand(g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use: "show KEY", Short: "Show the manifest of an engine, proved", Args: cobra.ExactArgs(1),
		Long:    "Show proves an engine and prints what was asked for, what was built and where it is.\n" + exitStatus,
		Example: "  trtforge engines show 3f2a9c",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			e, err := chosen(s, args[0])
			if err != nil {
				return err
			}
			return g.print(e.Manifest, func(w io.Writer) error { return writeEngine(w, e) })
		},
	}
}

// writeEngine is an engine in words.
func writeEngine(w io.Writer, e *store.Entry) error {
	m := e.Manifest
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { _, _ = fmt.Fprintf(t, "%s\t%s\n", name, value) }
	line("key", m.Key)
	line("file", e.File())
	line("size", bytesText(m.Bytes))
	line("backend", m.Backend)
	line("builder", m.Builder)
	if m.Adopted {
		line("precision", orDash(string(m.Precision))+" by its owner's word")
	} else {
		line("precision", fmt.Sprintf("%s asked for, %s built", m.Precision, m.Achieved))
	}
	line("target", targetText(m.Backend, m.Target, m.Adopted))
	line("model", orDash(m.ModelDigest))
	if m.Memory != nil {
		line("weights", bytesText(m.Memory.WeightsBytes)+" on the device")
		for i, p := range m.Memory.Profiles {
			line(fmt.Sprintf("profile %d", i), p.Profile+": activations "+bytesText(p.ActivationBytes))
		}
	}
	for i, text := range layerTexts(m.Layers) {
		line([]string{"layers", ""}[min(i, 1)], text)
	}
	if !m.Adopted {
		line("built in", builtText(m.Measured))
	}
	line("built by", orDash(m.CreatedBy))
	if !e.Used.IsZero() { // outside a store nobody notes it
		line("last used", e.Used.UTC().Format(time.RFC3339))
	}
	for _, note := range append(slices.Clone(m.Warnings), m.Licence) {
		if note != "" {
			line("note", note)
		}
	}
	if err := t.Flush(); err != nil || len(m.Profiles) == 0 {
		return err
	}
	c, _ := contract.Load(filepath.Join(e.Dir, contract.File)) // only some have one
	_, _ = fmt.Fprintln(w)
	return writeProfiles(w, &loadedProfiles{Profiles: m.Profiles}, rolesOf(c), false)
}

// layerTexts are the classes of layers, the most frequent first.
func layerTexts(layers map[string]int) (all []string) {
	names := slices.Sorted(maps.Keys(layers))
	slices.SortStableFunc(names, func(a, b string) int { return layers[b] - layers[a] })
	for _, k := range names {
		if layers[k] == 0 {
			continue // a class that the builder looked for
		}
		all = append(all, fmt.Sprintf("%d %s", layers[k], k))
	}
	return all
}

// builtText is what a build took, and its phases.
func builtText(m engine.Measured) string {
	text := fmt.Sprintf("%.1f s", m.BuildMS/1000)
	if m.PeakBytes > 0 {
		text += ", " + bytesText(m.PeakBytes) + " of memory at its peak"
	}
	for i, p := range m.Phases {
		text += fmt.Sprintf("%s %s %.1f s", []string{":", ","}[min(i, 1)], p.Name, p.MS/1000)
	}
	return text
}
