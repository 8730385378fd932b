package calib

import (
	"bytes"

	"github.com/trtforge/trtforge/internal/fsx"
)

// JSON is the table as WriteFile writes it: indented, with the numbers of a list
// on one line, for a large model has a million channels.
func (t *Table) JSON() ([]byte, error) {
	b, err := fsx.JSON(t)
	if err != nil {
		return nil, err
	}
	return flat(b), nil
}

// flat puts every list of numbers in indented JSON on one line.
func flat(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(b))
	for inString := false; len(b) > 0; {
		n := 1
		switch c := b[0]; {
		case inString && c == '\\':
			n = 2
		case c == '"':
			inString = !inString
		case c == '[' && !inString:
			if end := bytes.IndexByte(b, ']'); onlyNumbers(b[1:end]) {
				out.WriteByte('[')
				out.Write(bytes.Join(bytes.Fields(b[1:end]), []byte(" ")))
				b = b[end:]
				continue
			}
		}
		out.Write(b[:n])
		b = b[n:]
	}
	return out.Bytes()
}

func onlyNumbers(b []byte) bool { return len(bytes.Trim(b, "0123456789.+-eE, \n")) == 0 }
