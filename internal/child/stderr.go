package child

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// logHalf is how much of a child's stderr is kept from its beginning and from
// its end: a log in a loop must not fill the disk, and both ends tell.
const logHalf = 32 << 20

// tailSize is how much of the end is kept for error messages. A crash of a Go
// child prints its registers last, so the interesting line may be 16 KiB back.
const tailSize = 64 << 10

// capture receives a child's stderr: head and tail to a log, the very end kept
// for messages, ANSI escapes dropped.
type capture struct {
	log  io.Writer
	half int
	esc  escapes

	mu      sync.Mutex
	head    int   // bytes written to log so far
	last    ring  // the log's tail, written at the end
	dropped int64 // bytes between head and last
	tail    ring
	err     error // the log's first error
}

func newCapture(log io.Writer, half int) *capture {
	return &capture{log: log, half: half, last: ring{limit: half}, tail: ring{limit: tailSize}}
}

// Write never fails: a full disk must not stop the child.
func (c *capture) Write(p []byte) (int, error) {
	text := c.esc.strip(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail.add(text)
	if c.log == nil {
		return len(p), nil
	}
	n := min(len(text), c.half-c.head)
	c.write(text[:n])
	c.head += n
	c.dropped += c.last.add(text[n:])
	return len(p), nil
}

func (c *capture) write(text []byte) {
	if len(text) == 0 || c.err != nil {
		return
	}
	_, c.err = c.log.Write(text)
}

// finish writes the tail to the log and returns the log's first error.
func (c *capture) finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log != nil {
		if c.dropped > 0 {
			c.write(fmt.Appendf(nil, "\n... %d bytes omitted ...\n", c.dropped))
		}
		c.write(c.last.bytes())
		c.last = ring{}
	}
	return c.err
}

// lines are the last n lines that say something.
func (c *capture) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, l := range strings.Split(string(c.tail.bytes()), "\n") {
		if l = strings.TrimRight(l, " \r\t"); l != "" {
			all = append(all, strings.ToValidUTF8(l, string(utf8.RuneError)))
		}
	}
	return all
}

// ring keeps the last limit bytes.
type ring struct {
	limit int
	buf   []byte
	start int
}

// add appends p and returns how many bytes fell out.
func (r *ring) add(p []byte) (lost int64) {
	if over := len(p) - r.limit; over > 0 {
		lost += int64(over)
		p = p[over:]
	}
	if room := r.limit - len(r.buf); room > 0 {
		n := min(room, len(p))
		r.buf = append(r.buf, p[:n]...)
		p = p[n:]
	}
	lost += int64(len(p))
	for len(p) > 0 {
		n := copy(r.buf[r.start:], p)
		r.start = (r.start + n) % r.limit
		p = p[n:]
	}
	return lost
}

func (r *ring) bytes() []byte {
	return append(append(make([]byte, 0, len(r.buf)), r.buf[r.start:]...), r.buf[:r.start]...)
}

// escapes drops ANSI escape sequences from a stream, also those that two
// writes share.
type escapes struct{ state escapeState }

type escapeState byte

const (
	plain     escapeState = iota
	escaped               // after ESC
	control               // after ESC [: until a byte of @ to ~
	system                // after ESC ]: until BEL or ESC \
	systemEnd             // an ESC inside ESC ]
)

func (e *escapes) strip(p []byte) []byte {
	out := make([]byte, 0, len(p))
	for _, b := range p {
		switch e.state {
		case plain:
			if b == 0x1b {
				e.state = escaped
			} else {
				out = append(out, b)
			}
		case escaped:
			switch b {
			case '[':
				e.state = control
			case ']':
				e.state = system
			default:
				e.state = plain
			}
		case control:
			if b >= '@' && b <= '~' {
				e.state = plain
			}
		case system:
			switch b {
			case 0x07, '\n': // a line break ends a sequence that was never closed
				e.state = plain
			case 0x1b:
				e.state = systemEnd
			}
		case systemEnd:
			e.state = plain
		}
	}
	return out
}
