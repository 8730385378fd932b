package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// Get is the proved engine of a key. Where there is none the error is
// [fs.ErrNotExist]; where it is damaged, of class input.
func (s *Store) Get(key string) (*Entry, error) {
	if _, err := os.Stat(s.path(key)); err != nil {
		return nil, fmt.Errorf("engine %.12s: %w", key, fs.ErrNotExist)
	}
	e, err := read(s.path(key))
	if err != nil {
		return nil, err
	}
	if err := e.prove(); err != nil {
		return nil, err
	}
	e.touch()
	return e, nil
}

// Build is the engine of a request: from the store where it is proved, else
// built now. While another process builds it, this one waits. A damaged engine
// is replaced; when a build fails, what was there is gone only if it was damaged.
func (s *Store) Build(ctx context.Context, b engine.Builder, r engine.Request, p progress.Counter) (*Entry, error) {
	inputs := engine.Inputs(r, b.Revision())
	// A hit needs no lock and no room, so that a store that cannot be written to
	// still serves.
	return s.put(ctx, engine.KeyOf(inputs), inputs, func(dir string) (*engine.Manifest, error) {
		if err := s.room(r); err != nil {
			return nil, err
		}
		m, err := b.Build(ctx, r, dir, p)
		if err != nil {
			return nil, err
		}
		if err := engine.Answers(r, m, dir); err != nil {
			return nil, err
		}
		return m, describe(dir, r.Contract)
	})
}

// put fills the entry of a key, unless it is there and proved.
func (s *Store) put(ctx context.Context, key string, inputs map[string]string, fill func(dir string) (*engine.Manifest, error)) (*Entry, error) {
	if e, err := s.hit(key); e != nil || err != nil {
		return e, err
	}
	unlock, err := s.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if e, err := s.hit(key); e != nil || err != nil {
		return e, err
	}
	if _, err := s.sweep(key); err != nil {
		return nil, err
	}
	err = fsx.WriteDir(s.path(key), func(tmp string) error {
		m, err := fill(tmp)
		if err != nil {
			return err
		}
		if m.Key != key {
			return fault.New(fault.Runtime, "keeping", m.File, fmt.Sprintf("the builder says its key is %.12s, asked for was %.12s", m.Key, key), "report this")
		}
		if s.CreatedBy != "" {
			m.CreatedBy = s.CreatedBy
		}
		return seal(tmp, m, inputs)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(key)
}

// Builder is b with the store as its cache: what it builds is taken from the store
// where it is proved, and kept there.
func (s *Store) Builder(b engine.Builder) engine.Builder { return cached{b, s} }

type cached struct {
	engine.Builder
	store *Store
}

// Build copies the engine and what accounts for it into dir.
func (c cached) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	e, err := c.store.Build(ctx, c.Builder, r, p)
	if err != nil {
		return nil, err
	}
	for name := range e.Manifest.Digests {
		if name == ContractFile {
			continue // the request has it
		}
		if err := fsx.Copy(filepath.Join(e.Dir, name), filepath.Join(dir, name)); err != nil {
			return nil, fsx.Explain("writing", name, err)
		}
	}
	return e.Manifest, nil
}

// hit is the engine of a key where it can be used; nil where it must be built.
func (s *Store) hit(key string) (*Entry, error) {
	e, err := s.Get(key)
	switch {
	case err == nil:
		e.Cached = true
		return e, nil
	case errors.Is(err, fs.ErrNotExist), fault.Classify(err) == fault.Input:
		return nil, nil
	}
	return nil, err
}

// sweep removes what killed builds of a key left, and counts it. The caller holds
// its lock.
func (s *Store) sweep(key string) (n int, err error) {
	left, err := filepath.Glob(filepath.Join(s.engines(), fsx.TempPrefix+key+"-*"))
	if err != nil {
		return 0, fmt.Errorf("sweeping %.12s: %w", key, err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return n, fsx.Explain("removing", dir, err)
		}
		n++
	}
	return n, nil
}

// Sweep removes what killed builds left and nobody is at work on, and counts it.
func (s *Store) Sweep() (n int, err error) {
	entries, err := os.ReadDir(s.engines())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fsx.Explain("reading", s.engines(), err)
	}
	for _, e := range entries {
		rest, temporary := strings.CutPrefix(e.Name(), fsx.TempPrefix)
		key, _, _ := strings.Cut(rest, "-")
		if !temporary || !keyForm.MatchString(key) {
			continue
		}
		if unlock, got := s.tryLock(key); got {
			some, err := s.sweep(key)
			unlock()
			if n += some; err != nil {
				return n, err
			}
		}
	}
	return n, nil
}
