package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// Listed is an engine of a listing. Its seal is good unless Damage says why not;
// its files are not read.
type Listed struct {
	Key    string
	Entry  *Entry // nil where it is damaged
	Bytes  int64  // on disk, with everything beside the engine
	Damage error
}

// Newer tells whether a later program keeps the engine here: it is whole, and this one
// cannot read its manifest.
func (l Listed) Newer() bool { return errors.Is(l.Damage, keep.ErrNewer) }

// List is what stands in the store, in the order of the keys. Half engines are
// never in it: an engine has no key before it is whole.
func (s *Store) List() ([]Listed, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	var all []Listed
	for _, k := range keys {
		l := Listed{Key: k, Bytes: size(s.path(k))}
		l.Entry, l.Damage = read(s.path(k))
		all = append(all, l)
	}
	return all, nil
}

// size is the bytes of the files in a directory; what cannot be read has none.
func size(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// Limits say what a store may keep; the zero value keeps all that is whole.
type Limits struct {
	MaxBytes int64         // 0 means any number; the least recently used go first
	MaxAge   time.Duration // since the last use; 0 means any
	Damaged  bool          // remove what cannot be proved
}

// Prune removes engines beyond the limits and says which. With dry it only says.
// What killed builds left is for Sweep.
// An engine that is being built or replaced is left alone. Damage is looked for in
// the engines' files too.
func (s *Store) Prune(ctx context.Context, l Limits, dry bool) ([]Listed, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if l.Damaged && all[i].Damage == nil {
			all[i].Damage = all[i].Entry.prove()
		}
	}
	var removed []Listed
	for _, e := range surplus(all, l, time.Now()) {
		if err := ctx.Err(); err != nil {
			return removed, context.Cause(ctx)
		}
		if !dry {
			gone, err := s.discard(e)
			if err != nil {
				return removed, err
			}
			if !gone {
				continue
			}
		}
		removed = append(removed, e)
	}
	return removed, nil
}

// surplus is what the limits do not allow, in the order in which it goes.
func surplus(all []Listed, l Limits, now time.Time) []Listed {
	var gone, kept []Listed
	var total int64
	for _, e := range all {
		switch {
		case e.Damage != nil && l.Damaged && !e.Newer(), e.Damage == nil && l.MaxAge > 0 && now.Sub(e.Entry.Used) > l.MaxAge:
			gone = append(gone, e)
		case e.Damage == nil:
			kept = append(kept, e)
			fallthrough
		default:
			total += e.Bytes
		}
	}
	slices.SortStableFunc(kept, func(a, b Listed) int { return a.Entry.Used.Compare(b.Entry.Used) })
	for _, e := range kept {
		if l.MaxBytes == 0 || total <= l.MaxBytes {
			break
		}
		gone, total = append(gone, e), total-e.Bytes
	}
	return gone
}

// discard removes an engine, unless another process is at work on it or has built
// it again since it was found damaged. What only could not be read is not damaged.
func (s *Store) discard(l Listed) (gone bool, err error) {
	unlock, err := s.tryLock(l.Key)
	if unlock == nil || err != nil {
		return false, err
	}
	defer unlock()
	if l.Damage != nil {
		if _, err := s.Get(l.Key); err == nil || fault.Classify(err) != fault.Input {
			return false, nil
		}
	}
	return true, s.remove(l.Key)
}

// remove takes an engine away. It loses its key first, so that a kill in between
// leaves what Sweep removes.
func (s *Store) remove(key string) error {
	trash := s.path(fsx.TempPrefix + key + "-gone")
	if err := os.Rename(s.path(key), trash); err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err // the paths are long, and one is enough
		}
		return fsx.Explain("removing", s.path(key), err)
	}
	return fsx.Explain("removing", trash, os.RemoveAll(trash))
}
