package profiles

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/trtforge/trtforge/internal/fault"
)

// lines reads one JSON object a line. A bad line costs that line only.
func (t *tracer) lines(in *bufio.Reader) error {
	var long []byte // a line larger than the reader's buffer
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if long, err = readLong(in, append(long[:0], line...)); len(long) > maxRecord {
				t.bad(n, fmt.Sprintf("longer than %d bytes", maxRecord))
				if err != nil {
					return err
				}
				continue
			}
			line = long
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			t.object(n, line)
		}
		if err != nil {
			return err
		}
	}
}

// readLong reads the rest of a line, and of one that is too long only its end.
func readLong(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		more, err := in.ReadSlice('\n')
		if len(line) <= maxRecord {
			line = append(line, more...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// object reads one request.
func (t *tracer) object(n int, b []byte) {
	t.rec = record{}
	if err := json.Unmarshal(b, &t.rec); err != nil {
		t.bad(n, jsonCause(err))
		return
	}
	t.record(n, &t.rec)
}

// jsonCause is what is wrong without what differs from line to line.
func jsonCause(err error) string {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Sprintf("%s is a %s", typ.Field, typ.Value)
	}
	return "no JSON object"
}

// array reads the elements of one JSON array, as ShareGPT's files have it.
// Elements are numbered in place of lines. What follows a bad one cannot be
// found.
func (t *tracer) array(in *bufio.Reader) error {
	bounded := &budget{r: in, left: maxRecord}
	d := json.NewDecoder(bounded)
	broken := func(n int, err error) error {
		return fault.New(fault.Input, "reading trace", fmt.Sprintf("element %d", n), err.Error(), "mend the file, or write one object a line")
	}
	if _, err := d.Token(); err != nil {
		return broken(1, err)
	}
	n := 1
	for ; d.More(); n++ {
		bounded.left = maxRecord
		t.rec = record{}
		err := d.Decode(&t.rec)
		var typ *json.UnmarshalTypeError
		switch {
		case err == nil:
			t.record(n, &t.rec)
		case errors.As(err, &typ):
			t.bad(n, jsonCause(err))
		default:
			return broken(n, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(n, err)
	}
	return nil
}

// budget bounds what is read for one record.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fault.New(fault.Input, "reading trace", "", fmt.Sprintf("a record is longer than %d bytes", maxRecord), "split the file")
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
