package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Version is the layout of the store that this program writes and the newest
// that it reads.
const Version = 1

// Store is a directory of engines.
type Store struct {
	dir string
	// Waiting is told the key whose build another process is doing; nil tells nobody.
	Waiting func(key string)
	// CreatedBy stands in the manifests.
	CreatedBy string
}

// View opens the store at dir to look at it and makes nothing: where there is none
// it is empty. A store of a later program is an error of class input.
func View(dir string) (*Store, error) {
	s := &Store{dir: dir}
	err := s.known()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

// Open opens the store at dir and makes it where there is none. A store of a
// later program is an error of class input.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	for _, d := range []string{s.engines(), s.locks()} {
		if err := fsx.MkdirAll(d); err != nil {
			return nil, err
		}
	}
	err := s.known()
	if errors.Is(err, fs.ErrNotExist) {
		return s, fsx.WriteJSON(s.version(), Version)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// known sees that the store's layout is the one that this program knows.
func (s *Store) known() error {
	b, err := os.ReadFile(s.version())
	if err != nil {
		return fsx.Explain("reading", s.version(), err)
	}
	if got := strings.TrimSpace(string(b)); got != fmt.Sprint(Version) {
		return fault.New(fault.Input, "opening the engine store", s.dir,
			fmt.Sprintf("its layout is version %.20q, this program knows version %d", got, Version),
			"use the trtforge that made it, or another store (TRTFORGE_STORE)")
	}
	return nil
}

func (s *Store) version() string { return filepath.Join(s.dir, "version") }
func (s *Store) engines() string { return filepath.Join(s.dir, "engines") }
func (s *Store) locks() string   { return filepath.Join(s.dir, "locks") }

// path is where the engine of that key stands.
func (s *Store) path(key string) string { return filepath.Join(s.engines(), key) }

var keyForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Find completes a key from its first characters, six at least. None and several
// are errors of class usage.
func (s *Store) Find(prefix string) (string, error) {
	bad := func(cause string) (string, error) {
		return "", fault.New(fault.Usage, "finding engine", prefix, cause, "see `trtforge engines ls`")
	}
	if IsEngine(prefix) {
		return bad("it is an engine's directory, not a key: `trtforge inspect` and `engines why` take those")
	}
	if len(prefix) < 6 {
		return bad("a key is named by six characters or more")
	}
	keys, err := s.keys()
	if err != nil {
		return "", err
	}
	var found []string
	for _, k := range keys {
		if strings.HasPrefix(k, prefix) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return "", &fault.Error{Code: fault.Usage, Stage: "finding engine", Subject: prefix, Cause: "the store has no such engine", Fix: "see `trtforge engines ls`", Err: fs.ErrNotExist}
	case 1:
		return found[0], nil
	}
	return bad(fmt.Sprintf("%d engines begin like that", len(found)))
}

// keys are the names under which engines stand, proved or not, in order.
func (s *Store) keys() ([]string, error) {
	entries, err := os.ReadDir(s.engines())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fsx.Explain("reading", s.engines(), err)
	}
	var keys []string
	for _, e := range entries {
		if e.IsDir() && keyForm.MatchString(e.Name()) {
			keys = append(keys, e.Name())
		}
	}
	return keys, nil
}

// lock takes the lock of a key and waits for it.
func (s *Store) lock(ctx context.Context, key string) (unlock func(), err error) {
	l, err := filelock.Wait(ctx, filepath.Join(s.locks(), key), func() {
		if s.Waiting != nil {
			s.Waiting(key)
		}
	})
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for the build of %.12s: %w", key, err)
	}
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}

// tryLock takes the lock of a key; unlock is nil where another process holds it.
func (s *Store) tryLock(key string) (unlock func(), err error) {
	l, err := filelock.Try(filepath.Join(s.locks(), key))
	if l == nil || err != nil {
		return nil, err
	}
	return l.Unlock, nil
}
