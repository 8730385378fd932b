package explain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
)

// Bounds of a log. A longer line is read in pieces that overlap, so that a message
// on a seam is whole in one of them.
const (
	maxLine = 64 << 10
	overlap = 4 << 10
)

// lines reads a log line by line in bounded memory, without colours, carriage
// returns, NUL bytes (of UTF-16 text) and Docker's JSON around each line.
type lines struct {
	r      *bufio.Reader
	number int   // of the line that was returned last, from 1
	bytes  int64 // read so far
	inside bool  // what was returned last is a piece, and more of its line follows
	tail   []byte
	buf    []byte
	kind   census
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, maxLine)} }

// next is the next line, or the next piece of a long one; valid until the next
// call. It ends with io.EOF.
func (l *lines) next() ([]byte, error) {
	part, err := l.r.ReadSlice('\n')
	l.bytes += int64(len(part))
	l.kind.take(part)
	full := errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !full && (len(part) == 0 || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	line := part
	if l.inside {
		l.buf = append(append(l.buf[:0], l.tail...), part...)
		line = l.buf
	} else {
		l.number++
	}
	if l.inside = full; full {
		l.tail = append(l.tail[:0], part[len(part)-overlap:]...)
	}
	return l.clean(line), nil
}

// dockerLog begins a line of Docker's json-file driver.
var dockerLog = []byte(`{"log":"`)

func (l *lines) clean(b []byte) []byte {
	b = bytes.TrimRight(b, "\r\n")
	if bytes.HasPrefix(b, dockerLog) {
		var d struct{ Log string }
		if json.Unmarshal(b, &d) == nil {
			b = bytes.TrimRight([]byte(d.Log), "\r\n")
		}
	}
	b = undress(b)
	// All three are rare, and looking for a byte is cheap.
	if bytes.IndexByte(b, 0x1b) < 0 && bytes.IndexByte(b, 0) < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case 0:
		case '\r': // a progress bar before a message
			out = append(out, ' ')
		case 0x1b:
			i += escape(b[i:]) - 1
		default:
			out = append(out, c)
		}
	}
	return out
}

// undress takes away what a container's log puts before each line, so that a
// message over several lines is one: "web_1  | ", as Compose does, or
// "2026-11-24T22:20:01Z stderr F ", as Kubernetes does.
func undress(b []byte) []byte {
	head := b[:min(len(b), 80)]
	if len(head) > 0 && head[0] == '2' { // a year
		for _, mark := range kubernetes {
			if i := bytes.Index(head, mark); i > 0 && bytes.IndexByte(head[:i], ' ') < 0 {
				return b[i+len(mark):]
			}
		}
	}
	if bytes.IndexByte(head, '|') > 0 {
		if m := compose.FindIndex(head); m != nil {
			return b[m[1]:]
		}
	}
	return b
}

var kubernetes = [][]byte{[]byte(" stderr F "), []byte(" stdout F "), []byte(" stderr P "), []byte(" stdout P ")}

var compose = regexp.MustCompile(`^[A-Za-z0-9][\w.-]* +\| `)

// escape is the length of the terminal sequence that b begins with: ESC [ up to
// its final letter, ESC ] up to BEL, or ESC and one byte.
func escape(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if 0x40 <= b[i] && b[i] <= 0x7e {
				return i + 1
			}
		}
		return len(b)
	case ']':
		if i := bytes.IndexByte(b, 7); i > 0 {
			return i + 1
		}
	}
	return 2
}
