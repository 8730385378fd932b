package child

import "golang.org/x/sys/unix"

// Stop halts the child's whole group until Continue, so that it takes no time from
// whoever is measured meanwhile: no heartbeat, no spinning threads. Its silence is
// then no sign of death. Between jobs only: a job would seem to take the pause too.
func (c *Child) Stop() {
	c.stopped.Store(true)
	c.signal(unix.SIGSTOP)
}

// Continue lets a stopped child go on. One that runs is not touched.
func (c *Child) Continue() {
	if c.stopped.Swap(false) {
		c.hear()
		c.signal(unix.SIGCONT)
	}
}
