package child

import (
	"context"
	"sync"
)

// Keeper is one child at a time, started when it is first needed and again after a
// death. It is what the clients of each kind of child have in common; the zero value
// has no child yet.
type Keeper struct {
	mu sync.Mutex
	c  *Child
}

// Running is a child that takes jobs: the present one, or what start makes where
// there is none that lives.
func (k *Keeper) Running(ctx context.Context, start func(context.Context) (*Child, error)) (*Child, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.c != nil && k.c.Alive() {
		return k.c, nil
	}
	if err := k.drop(); err != nil {
		return nil, err
	}
	var err error
	k.c, err = start(ctx)
	return k.c, err
}

// Stop halts the child until Continue; see [Child.Stop]. Where there is none it does
// nothing.
func (k *Keeper) Stop() { k.each((*Child).Stop) }

// Continue lets the child go on.
func (k *Keeper) Continue() { k.each((*Child).Continue) }

// PID is the child's process id; 0 where there is none.
func (k *Keeper) PID() (pid int) {
	k.each(func(c *Child) { pid = c.PID() })
	return pid
}

func (k *Keeper) each(do func(*Child)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.c != nil {
		do(k.c)
	}
}

// Close ends the child. There may be another one afterwards.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.drop()
}

// drop closes the child that there is.
func (k *Keeper) drop() error {
	if k.c == nil {
		return nil
	}
	err := k.c.Close()
	k.c = nil
	return err
}
