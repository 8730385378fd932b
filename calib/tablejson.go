package calib

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/trtforge/trtforge/internal/fsx"
)

// JSON is the table as WriteFile writes it: indented, with the numbers of a list
// on one line, for a large model has a million channels.
func (t *Table) JSON() ([]byte, error) {
	b, err := t.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return flat(b), nil
}

// writeFlat writes v, indented, whole or not at all.
func writeFlat(path string, v json.Marshaler) error {
	b, err := v.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	return fsx.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(flat(b))
		return err
	})
}

// flat indents compact JSON as encoding/json does, but for lists of numbers, each of
// which stays on one line. It is written out here, as indenting a number a line and
// joining them again takes four times as long.
func flat(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(b) + len(b)/4)
	depth := 0
	line := func() { out.WriteString("\n" + strings.Repeat("  ", depth)) }
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			end := i + 1
			for ; b[end] != '"'; end++ {
				if b[end] == '\\' {
					end++
				}
			}
			out.Write(b[i : end+1])
			i = end
		case '{', '[':
			end := i + 1 + bytes.IndexByte(b[i+1:], c+2) // what closes it, if it holds nothing else
			switch {
			case end == i+1, c == '[' && onlyNumbers(b[i+1:end]):
				out.Write(bytes.ReplaceAll(b[i:end+1], []byte(","), []byte(", ")))
				i = end
			default:
				out.WriteByte(c)
				depth++
				line()
			}
		case '}', ']':
			depth--
			line()
			out.WriteByte(c)
		case ',':
			out.WriteByte(c)
			line()
		case ':':
			out.WriteString(": ")
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func onlyNumbers(b []byte) bool { return len(bytes.Trim(b, "0123456789.+-eE,")) == 0 }
