package store

import (
	"context"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
)

// Foreign is a plan that came without a manifest, and what its owner says of it.
type Foreign struct {
	File      string             // a TensorRT or TensorRT-RTX plan
	Precision engine.Precision   // "" where it is not known
	Profiles  []profiles.Profile // nil where they are not known
	Contract  *contract.Contract // nil where it is not known; without it nothing can run the plan
}

// Adopt takes a foreign plan into the store. Its key is made of the file's digest,
// which no request's key is, so it is never given out in place of an engine that
// was built, and of its owner's word, so that another word makes another engine. Its
// manifest says that it was adopted. Proved is the file alone.
func (s *Store) Adopt(ctx context.Context, f Foreign) (*Entry, error) {
	h, err := planfile.Read(f.File)
	if err != nil {
		return nil, err
	}
	digest, err := fsx.Digest(f.File)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(f.File)
	if err != nil {
		return nil, fsx.Explain("adopting", f.File, err)
	}
	m := &engine.Manifest{
		Kind: "manifest", SchemaVersion: engine.SchemaVersion, Adopted: true, Backend: string(h.Family),
		Builder: string(h.Family) + " " + h.Version, Precision: f.Precision, Profiles: f.Profiles,
		File: "engine.plan", Bytes: info.Size(), FileDigest: digest,
		Warnings: []string{"adopted: what it was built from, and its precision and profiles, are its owner's word"},
	}
	if h.Family == planfile.RTX {
		m.Backend = "rtx"
	}
	if len(h.Targets) == 1 {
		m.Target = h.Targets[0]
	}
	inputs := engine.Inputs(engine.Request{
		Backend: m.Backend, Precision: f.Precision, Target: m.Target, Contract: f.Contract, Plan: &profiles.Plan{Profiles: f.Profiles},
	}, m.Builder)
	inputs["adopted"] = digest
	m.Key = engine.KeyOf(inputs)
	return s.put(ctx, m.Key, inputs, func(dir string) (*engine.Manifest, error) {
		if err := fsx.Copy(f.File, filepath.Join(dir, m.File)); err != nil {
			return nil, fsx.Explain("adopting", f.File, err)
		}
		return m, describe(dir, f.Contract)
	})
}

// Take takes an engine that stands outside of a store (`build -o`, another machine's
// store) under its own key, once it is proved.
func (s *Store) Take(ctx context.Context, dir string) (*Entry, error) {
	e, err := Look(dir)
	if err != nil {
		return nil, err
	}
	m := e.Manifest
	return s.put(ctx, m.Key, m.Inputs, func(tmp string) (*engine.Manifest, error) {
		for name := range m.Digests {
			if err := fsx.Copy(filepath.Join(dir, name), filepath.Join(tmp, name)); err != nil {
				return nil, fsx.Explain("adopting", filepath.Join(dir, name), err)
			}
		}
		return m, nil
	})
}

// Add puts an engine that was built elsewhere under the key of the request that it
// answers; fill writes its files and accounts for them as a builder does.
func (s *Store) Add(ctx context.Context, r engine.Request, revision string, fill func(dir string) (*engine.Manifest, error)) (*Entry, error) {
	inputs := engine.Inputs(r, revision)
	return s.put(ctx, engine.KeyOf(inputs), inputs, func(dir string) (*engine.Manifest, error) {
		m, err := fill(dir)
		if err != nil {
			return nil, err
		}
		if err := engine.Answers(r, m, dir); err != nil {
			return nil, err
		}
		return m, describe(dir, r.Contract)
	})
}

// describe writes the contract into an engine's directory, where it was known when the
// engine was built.
func describe(dir string, c *contract.Contract) error {
	if c == nil {
		return nil
	}
	return c.Save(filepath.Join(dir, contract.File))
}
