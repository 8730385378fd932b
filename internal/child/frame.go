package child

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest control frame, in bytes of JSON.
const MaxFrame = 64 << 20

// message is a control frame of any type; which fields count depends on Type.
type message struct {
	Type string `json:"type"`
	ID   int64  `json:"id,omitempty"`

	// hello and ready
	Name     string          `json:"name,omitempty"`
	Version  string          `json:"version,omitempty"`
	Protocol int             `json:"protocol,omitempty"`
	PID      int             `json:"pid,omitempty"`
	Facts    json.RawMessage `json:"facts,omitempty"`

	// job and result
	Job     string          `json:"job,omitempty"`
	Request json.RawMessage `json:"request,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Tensors []announced     `json:"tensors,omitempty"`

	// progress
	Done  int64    `json:"done,omitempty"`
	Total int64    `json:"total,omitempty"`
	Note  string   `json:"note,omitempty"`
	Path  []string `json:"path,omitempty"`

	// error
	Code    string `json:"code,omitempty"`
	Stage   string `json:"stage,omitempty"`
	Subject string `json:"subject,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// protocol is the version of the wire that both ends must speak.
const protocol = 1

// readMessage reads one frame. io.EOF means that the stream ended between two
// frames; what cannot be a frame is a *framingError.
func readMessage(r io.Reader) (*message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > MaxFrame {
		return nil, &framingError{fmt.Sprintf("a frame of %d bytes is announced (%q), the limit is %d", size, head[:], MaxFrame)}
	}
	// The announced size is not trusted with memory before the bytes arrive.
	body, err := readAll(r, int64(size))
	if err != nil {
		return nil, fmt.Errorf("reading a frame of %d bytes: %w", size, err)
	}
	m := &message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, &framingError{fmt.Sprintf("a frame is not JSON: %v: %q", err, shorten(body))}
	}
	if m.Type == "" {
		return nil, &framingError{fmt.Sprintf("a frame has no type: %q", shorten(body))}
	}
	return m, nil
}

// writeMessage writes one frame in a single Write.
func writeMessage(w io.Writer, m *message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a %s frame: %w", m.Type, err)
	}
	if len(body) > MaxFrame {
		return &framingError{fmt.Sprintf("a %s frame of %d bytes is over the limit of %d", m.Type, len(body), MaxFrame)}
	}
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// framingError is a breach of the wire's rules.
type framingError struct{ what string }

func (e *framingError) Error() string { return e.what }

// readAll reads exactly size bytes, allocating as they arrive.
func readAll(r io.Reader, size int64) ([]byte, error) {
	const step = 1 << 20
	buf := make([]byte, 0, min(size, step))
	for int64(len(buf)) < size {
		at := len(buf)
		grown := min(size, max(int64(2*at), step))
		if grown > int64(cap(buf)) {
			buf = append(make([]byte, 0, grown), buf...)
		}
		buf = buf[:min(size, int64(cap(buf)))]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return nil, noEOF(err)
		}
	}
	return buf, nil
}

// noEOF marks an end of stream in the middle of something.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func shorten(b []byte) []byte { return b[:min(len(b), 80)] }
