package validate

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// maxHeader bounds bundle.json.
const maxHeader = 1 << 20

// Read opens the bundle in dir and checks all of it: the header against itself,
// the digest of the data, and every row. What is wrong is of class input.
func Read(dir string) (*Bundle, error) {
	text, err := readSmall(filepath.Join(dir, HeaderFile), maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Input, "reading reference bundle", dir, "there is none: it has no "+HeaderFile, "name the directory of one, or "+recordIt)
	}
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, DataFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading reference bundle", path, err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fsx.Explain("reading reference bundle", path, err), f.Close())
	}
	b, err := open(dir, text, f, st.Size())
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b.file = f
	return b, nil
}

// open makes a bundle of a header and its data.
func open(name string, header []byte, data io.ReaderAt, size int64) (*Bundle, error) {
	b := &Bundle{name: name, data: data}
	if err := b.parse(header); err != nil {
		return nil, fault.Wrap(fault.Input, "reading reference bundle", name, err, "use the trtforge that wrote it, or "+recordIt)
	}
	if size != b.size() {
		return nil, fault.New(fault.Input, "reading reference bundle", name,
			fmt.Sprintf("%s has %d bytes, %s announces %d", DataFile, size, HeaderFile, b.size()), recordIt)
	}
	if err := b.scan(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading reference bundle", name, err, recordIt)
	}
	return b, nil
}

// parse reads and checks the header.
func (b *Bundle) parse(text []byte) error {
	// Kind and version first: a newer header may not even decode.
	var head struct {
		Kind          string `json:"kind"`
		SchemaVersion int    `json:"schema_version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("%s: %w", HeaderFile, err)
	}
	if head.Kind != "bundle" || head.SchemaVersion < 1 || head.SchemaVersion > SchemaVersion {
		return fmt.Errorf("kind %q of version %d, this program reads bundles up to version %d", head.Kind, head.SchemaVersion, SchemaVersion)
	}
	if err := json.Unmarshal(text, &b.Header); err != nil {
		return fmt.Errorf("%s: %w", HeaderFile, err)
	}
	return b.check()
}

// scan reads the data once, for its digest, its rows and their mean.
func (b *Bundle) scan() error {
	h := sha256.New()
	r := bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(b.data, 0, b.size()), h), 1<<18)
	raw := make([]byte, b.rowBytes())
	nll := average{}
	for i := range b.Rows {
		if _, err := io.ReadFull(r, raw); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		row := b.decode(raw)
		if err := b.checkRow(row); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		nll.add(&b.Header, row.NLL)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != b.DataDigest {
		return fmt.Errorf("%s has the sha256 %s, %s says %s", DataFile, got, HeaderFile, b.DataDigest)
	}
	if mean := nll.mean(); math.Abs(mean-b.MeanNLL) > 1e-5*max(1, b.MeanNLL) {
		return fmt.Errorf("the rows' mean NLL is %g, %s says %g", mean, HeaderFile, b.MeanNLL)
	}
	return nil
}

// readSmall reads a file that must not exceed limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	if n > limit {
		return nil, fault.New(fault.Input, "reading", path, fmt.Sprintf("it is longer than %d bytes", limit), "check the path")
	}
	return b.Bytes(), nil
}
