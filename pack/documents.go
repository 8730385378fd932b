package pack

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Redistribution is what every package says of passing it on.
const Redistribution = "What may be passed on: the graph, its weights and the tokenizer as the licence of the model says; a plan as " +
	"NVIDIA's licence of the builder says, which is in TensorRT's own distribution. No library of NVIDIA is in here."

// Documents writes values as JSON files of those names into dir.
func Documents(dir string, all map[string]any) error {
	for name, v := range all {
		if filepath.Base(name) != name {
			return fault.New(fault.Usage, "packing", name, "it is no name of a file", "leave directories out")
		}
		if err := fsx.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return nil
}

// Engine is an engine that is packed for a machine without a network.
type Engine struct {
	Manifest  *engine.Manifest
	Copy      func(dir string) error // puts the engine, its manifest and its seal into dir
	Documents map[string]any         // written beside as JSON: verdicts
	Notes     []string               // of the README, a paragraph each
}

// Pack lays out DIR/engine/ with the engine as the store holds it, README.md, the
// documents and checksums, whole or not at all.
func (e Engine) Pack(dir string) error {
	return fsx.WriteDir(dir, func(tmp string) error {
		home := filepath.Join(tmp, "engine")
		if err := fsx.MkdirAll(home); err != nil {
			return err
		}
		if err := e.Copy(home); err != nil {
			return err
		}
		if err := Documents(tmp, e.Documents); err != nil {
			return err
		}
		m := e.Manifest
		text := fmt.Sprintf("# %s\n\nThe engine %s,\nbuilt by %s", strings.TrimSpace(m.Backend+" "+string(m.Achieved)), m.Key, m.Builder)
		if m.ModelDigest != "" {
			text += " of the graph\n" + m.ModelDigest
		}
		text += ",\nwith its manifest and its seal. On a machine that has trtforge,\n\n" +
			"    trtforge engines adopt engine\n\nproves it and takes it into the store.\n"
		if m.Licence != "" {
			text += "\nIt was " + m.Licence + ".\n"
		}
		for _, n := range append(e.Notes, Redistribution, provesFiles) {
			text += "\n" + n + "\n"
		}
		if err := write(filepath.Join(tmp, "README.md"), text); err != nil {
			return err
		}
		return WriteChecksums(tmp)
	})
}
