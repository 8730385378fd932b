package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/runtimes"
)

func newEnginesCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "engines",
		Short: "Show, prove, compare, adopt and remove the engines of the store",
		Long: `Engines are kept in $TRTFORGE_STORE (default $TRTFORGE_HOME/store, ~/.cache/trtforge/store) under a key:
the sha256 over everything that changes an engine, which are the graph, the profiles,
the precision, the target, the options and the builder's version. An engine is used only
after its files, its manifest and its key were proved against each other. A key may be
cut to its first six characters or more.
` + exitStatus,
		Example: `  trtforge engines ls
  trtforge engines why 3f2a9c
  trtforge engines prune --older-than 30d --dry-run`,
	}
	var dir string
	addStore(c.PersistentFlags(), &dir)
	open := func() (*store.Store, error) { return openStore(g, dir, store.View) }
	c.AddCommand(newEnginesListCommand(g, open), newEnginesShowCommand(g, open), newEnginesWhyCommand(g, open),
		newEnginesVerifyCommand(g, open), newEnginesPruneCommand(g, open),
		newEnginesDiffCommand(g, open), newEnginesAdoptCommand(g, func() (*store.Store, error) { return openStore(g, dir, store.Open) }))
	return c
}

// openStore opens the engine store at dir, to build or to look; the one of the
// environment, or else the user's own, where dir is empty.
func openStore(g *globals, dir string, how func(dir string) (*store.Store, error)) (*store.Store, error) {
	if dir == "" {
		dir = os.Getenv("TRTFORGE_STORE")
	}
	if dir == "" {
		home, err := runtimes.Home()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(home, "store")
	}
	s, err := how(dir)
	if err != nil {
		return nil, err
	}
	s.CreatedBy = createdBy()
	s.Waiting = func(key string) { g.Log.Info("another process builds this engine, waiting for it", "key", key[:12]) }
	return s, nil
}

// opener opens the store that the flags name.
type opener func() (*store.Store, error)

// chosen is the entry that an argument names.
func chosen(s *store.Store, prefix string) (*store.Entry, error) {
	key, err := s.Find(prefix)
	if err != nil {
		return nil, err
	}
	return s.Get(key)
}
