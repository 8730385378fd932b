package child

import (
	"time"

	"golang.org/x/sys/unix"
)

// watch ends the child when it is silent or takes too much memory.
func (c *Child) watch() {
	step := sample
	if c.spec.Silence > 0 {
		step = min(step, c.spec.Silence/4)
	}
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-c.exited:
			return
		case <-ticker.C:
		}
		// After a pause of this process (a shell's ^Z) the silence was ours.
		if c.stopped.Load() || time.Since(last) > 2*time.Second+2*step {
			c.hear()
		}
		last = time.Now()
		c.check()
	}
}

func (c *Child) check() {
	if quiet := time.Since(c.begun) - time.Duration(c.heard.Load()); c.spec.Silence > 0 && quiet > c.spec.Silence {
		c.end(silent(quiet))
	}
	if now := c.measure(); c.spec.Memory > 0 && now > c.spec.Memory {
		c.end(oversized(now, c.spec.Memory))
	}
}

// measure reads and keeps the tree's resident bytes; 0 once the process has ended.
func (c *Child) measure() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped { // its id may be another's by now
		return 0
	}
	now := treeUsage(c.PID()).resident
	if now > 0 {
		c.held = now
	}
	return now
}

// end makes the child end for the given reason, unless it has one already. It
// does not wait; gone tells.
func (c *Child) end(e ending) {
	c.mu.Lock()
	first := c.ending == nil && !c.reaped
	if first {
		c.ending = &e
	}
	c.mu.Unlock()
	if first {
		go c.kill(e.now)
	}
}

// endUnlessExited gives a process that is exiting anyway a moment to do so, so
// that its death is explained by its status and not by its closed pipes.
func (c *Child) endUnlessExited(e ending) {
	select {
	case <-c.exited:
	case <-time.After(time.Second):
		c.end(e)
	}
}

func (c *Child) kill(now bool) {
	c.Continue() // a halted process hears of SIGTERM when it goes on
	if !now {
		c.signal(unix.SIGTERM)
		select {
		case <-c.exited:
			return
		case <-time.After(max(c.spec.Grace, 0)):
		}
	}
	c.signal(unix.SIGKILL)
}

// signal reaches the whole group, as long as the group is surely the child's.
func (c *Child) signal(s unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		_ = unix.Kill(-c.PID(), s)
	}
}
