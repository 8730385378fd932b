package explain

import (
	"bytes"
	"unicode/utf8"

	"github.com/trtforge/trtforge/internal/fault"
)

// sampled is how much of a log is looked at to tell text from a binary file.
const sampled = 1 << 20

// census counts what kind of bytes the beginning of a log has.
type census struct {
	all, odd, blank int64
	last            byte
}

// take counts a piece of the log as it was read. The NUL in each letter of UTF-16
// and the sequences of a terminal are text.
func (c *census) take(b []byte) {
	if c.all >= sampled {
		return
	}
	if c.all == 0 && (bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff"))) { // UTF-16
		b = b[2:]
	}
	c.all += int64(len(b))
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == 0 && c.last != 0:
			c.blank++
		case r == '\t' || r == '\n' || r == '\r' || r == ' ':
			c.blank++
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\b' && r != '\f' && r != 0x1b:
			c.odd++
		}
		i += n
		c.last = b[i-1]
	}
}

// refuse is why there is nothing to explain: the input is empty, or no text. A
// message that was found in it says otherwise.
func (c *census) refuse(log string, found bool) error {
	switch {
	case found:
	case c.all == c.blank:
		return fault.New(fault.Input, "reading log", log, "it is empty", "give it the output of the run, errors too: COMMAND 2>&1 | trtforge explain")
	case c.odd*10 > c.all:
		return fault.New(fault.Input, "reading log", log, "it is a binary file, not text", "name the file that holds the tool's output")
	}
	return nil
}
