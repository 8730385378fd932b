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
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/internal/progress"
)

// Get is the proved engine of a key. Where there is none the error is
// [fs.ErrNotExist]; where it is damaged, of class input. Looking at an engine is no
// use of it: see [Entry.Touch].
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
	if err := s.sweep(key); err != nil {
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
		if m.CreatedBy == "" { // who built it elsewhere has said so
			m.CreatedBy = s.CreatedBy
		}
		return seal(tmp, m, inputs)
	})
	if err != nil {
		return nil, err
	}
	e, err := read(s.path(key)) // proved when it is next asked for
	if err != nil {
		return nil, err
	}
	return e, e.header()
}

// hit is the engine of a key where it can be used; nil where it must be built.
func (s *Store) hit(key string) (*Entry, error) {
	e, err := s.Get(key)
	switch {
	case err == nil:
		e.Cached = true
		e.Touch()
		return e, nil
	case errors.Is(err, keep.ErrNewer): // it is whole, and somebody's
		return nil, err
	case errors.Is(err, fs.ErrNotExist), fault.Classify(err) == fault.Input:
		return nil, nil
	}
	return nil, err
}

// sweep removes what killed builds of a key left. The caller holds its lock.
func (s *Store) sweep(key string) error {
	left, err := filepath.Glob(filepath.Join(s.engines(), fsx.TempPrefix+key+"-*"))
	if err != nil {
		return fmt.Errorf("sweeping %.12s: %w", key, err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fsx.Explain("removing", dir, err)
		}
	}
	return nil
}

// Sweep removes what killed builds left and nobody is at work on, and counts it. With
// dry it only counts, what is being built among it.
func (s *Store) Sweep(dry bool) (n int, err error) {
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
		if dry {
			n++
			continue
		}
		unlock, err := s.tryLock(key)
		if err != nil {
			return n, err
		}
		if unlock == nil {
			continue
		}
		if err = os.RemoveAll(filepath.Join(s.engines(), e.Name())); err == nil {
			n++
		}
		unlock()
		if err != nil {
			return n, fsx.Explain("removing", e.Name(), err)
		}
	}
	return n, nil
}
