// Package text reads what models are calibrated and evaluated on: files of UTF-8,
// or of token ids.
//
// A file in another encoding would be tokenized without complaint into tokens that
// no text has, so [Read] says where it stops being UTF-8. It does not guess the
// encoding and converts nothing.
package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// maxFile bounds a file: a calibration reads a few megabytes of one.
const maxFile = 1 << 30

// Read is the text of a file, without a byte order mark. A file that is not
// UTF-8, or empty, is an error of class input.
func Read(path string) (string, error) {
	b, err := readAll(path)
	if err != nil {
		return "", err
	}
	b = bytes.TrimPrefix(b, []byte("\uFEFF"))
	switch at := invalid(b); {
	case len(bytes.TrimSpace(b)) == 0:
		return "", bad(path, "it has no text", "give a file with text")
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return "", bad(path, "it is UTF-16: it begins with that encoding's mark", "convert it: iconv -f UTF-16 -t UTF-8")
	case at >= 0:
		line := 1 + bytes.Count(b[:at], []byte("\n"))
		return "", bad(path, fmt.Sprintf("it is not UTF-8: byte %d, in line %d, is %#02x", at, line, b[at]), "convert it, from Latin-1 for example: iconv -f ISO-8859-1 -t UTF-8")
	case bytes.IndexByte(b, 0) >= 0:
		return "", bad(path, fmt.Sprintf("it is no text: byte %d is zero", bytes.IndexByte(b, 0)), "give a file with text")
	}
	return string(b), nil
}

// invalid is where b stops being UTF-8; -1 where it does not.
func invalid(b []byte) int {
	for at := 0; at < len(b); {
		_, n := utf8.DecodeRune(b[at:])
		if n == 1 && b[at] >= utf8.RuneSelf {
			return at
		}
		at += n
	}
	return -1
}

// IDs reads token ids: whole numbers with spaces, line breaks or commas between,
// and brackets around them or not, so a JSON array is one form of it.
func IDs(path string) ([]int64, error) {
	b, err := readAll(path)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for word := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return strings.ContainsRune(" \t\r\n,[]", r) }) {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil || id < 0 {
			return nil, bad(path, fmt.Sprintf("number %d, %.40q, is no token id", len(ids)+1, word), "write whole numbers with spaces or commas between")
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, bad(path, "it has no token ids", "write whole numbers with spaces or commas between")
	}
	return ids, nil
}

func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading text", path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		return nil, bad(path, fmt.Sprintf("it is larger than %d bytes", maxFile), "give a part of it")
	}
	var known *os.PathError
	if errors.As(err, &known) { // a directory opens, and is not read
		return nil, fault.Wrap(fault.Input, "reading text", path, known.Err, "check the path")
	}
	return b, fsx.Explain("reading text", path, err)
}

func bad(path, cause, fix string) error {
	return fault.New(fault.Input, "reading text", path, cause, fix)
}
