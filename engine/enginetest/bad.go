package enginetest

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/progress"
)

// Bad is a builder that says that it is done when it is not. Its harm is done to
// what a [Fake] built, before it is handed over.
type Bad struct {
	Fake
	Harm func(m *engine.Manifest, dir string)
}

// Harms are the ways in which builders are known to have lied.
var Harms = map[string]func(m *engine.Manifest, dir string){
	"fewer profiles": func(m *engine.Manifest, _ string) { m.Profiles = m.Profiles[1:] },
	"a narrower profile": func(m *engine.Manifest, _ string) {
		all := slices.Clone(m.Profiles)
		all[0].Inputs = slices.Clone(all[0].Inputs)
		all[0].Inputs[0].Max = all[0].Inputs[0].Min
		m.Profiles = all
	},
	"another scale":     func(m *engine.Manifest, _ string) { m.KVScale = "other" },
	"another digest":    func(m *engine.Manifest, _ string) { m.FileDigest = engine.KeyOf(nil) },
	"another precision": func(m *engine.Manifest, _ string) { m.Achieved = engine.FP16 },
	"another model":     func(m *engine.Manifest, _ string) { m.ModelDigest = "other" },
	"no file":           func(m *engine.Manifest, dir string) { _ = os.Remove(filepath.Join(dir, m.File)) },
	"an empty file":     func(m *engine.Manifest, dir string) { _ = os.Truncate(filepath.Join(dir, m.File), 0) },
	"a file elsewhere":  func(m *engine.Manifest, _ string) { m.File = "../engine" },
	"another key":       func(m *engine.Manifest, _ string) { m.Key = engine.KeyOf(nil) },
}

// Build builds as the fake does, and lies.
func (b Bad) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	m, err := b.Fake.Build(ctx, r, dir, p)
	if err == nil {
		b.Harm(m, dir)
	}
	return m, err
}
