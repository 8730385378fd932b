package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
)

// listedEngine is a line of `engines ls`.
type listedEngine struct {
	Key       string           `json:"key"`
	Backend   string           `json:"backend,omitempty"`
	Precision engine.Precision `json:"precision,omitempty"`
	Target    string           `json:"target,omitempty"`
	Profiles  int              `json:"profiles"`
	Bytes     int64            `json:"bytes"`             // of the engine itself, as build tells it; 0 where it is damaged
	OnDisk    int64            `json:"on_disk"`           // with everything beside it
	Used      string           `json:"used,omitempty"`    // RFC 3339
	Adopted   bool             `json:"adopted,omitempty"` // nobody here built it
	Damage    string           `json:"damage,omitempty"`
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
			return g.printEngines(all)
		},
	}
}

// printEngines prints entries as lines.
func (g *globals) printEngines(all []store.Listed) error {
	lines := make([]listedEngine, 0, len(all))
	for _, l := range all {
		line := listedEngine{Key: l.Key, OnDisk: l.Bytes}
		if l.Damage != nil {
			line.Damage = l.Damage.Error()
		} else {
			m := l.Entry.Manifest
			line.Backend, line.Precision, line.Target, line.Profiles = m.Backend, m.Precision, m.Target, len(m.Profiles)
			line.Bytes, line.Adopted = m.Bytes, m.Adopted
			line.Used = l.Entry.Used.UTC().Format(time.RFC3339)
		}
		lines = append(lines, line)
	}
	return g.print(lines, func(w io.Writer) error {
		if len(lines) == 0 {
			return nil
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "KEY\tBACKEND\tPRECISION\tTARGET\tPROFILES\tSIZE\tUSED")
		for _, l := range lines {
			if l.Damage != "" {
				_, _ = fmt.Fprintf(t, "%.12s\tdamaged\t%s\n", l.Key, l.Damage)
				continue
			}
			precision := orDash(string(l.Precision))
			if l.Adopted {
				precision += " (adopted)"
			}
			_, _ = fmt.Fprintf(t, "%.12s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Key, l.Backend, precision, orDash(l.Target), l.Profiles, bytesText(l.Bytes), l.Used)
		}
		return t.Flush()
	})
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
	line("target", orDash(m.Target))
	for i, p := range m.Profiles {
		text := p.Name
		if m.Memory != nil && i < len(m.Memory.Profiles) {
			text += ", activations " + bytesText(m.Memory.Profiles[i].ActivationBytes)
		}
		line(fmt.Sprintf("profile %d", i), text)
	}
	if m.Memory != nil {
		line("weights", bytesText(m.Memory.WeightsBytes)+" on the device")
	}
	var layers []string
	for _, k := range slices.Sorted(maps.Keys(m.Layers)) {
		layers = append(layers, fmt.Sprintf("%d %s", m.Layers[k], k))
	}
	if layers != nil {
		line("layers", strings.Join(layers, ", "))
		line("built in", fmt.Sprintf("%.1f s", m.Measured.BuildMS/1000))
	}
	for _, note := range append(slices.Clone(m.Warnings), m.Licence) {
		if note != "" {
			line("note", note)
		}
	}
	return t.Flush()
}
