package orttrt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// prepare puts beside the engine what the provider looks for there: the timing
// cache, as a copy, since it writes it without care for others or for a kill, and
// the calibration table.
func (j *job) prepare() error {
	work := filepath.Join(j.dir, timingDir)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return fsx.Explain("creating", work, err)
	}
	if j.Timing != "" {
		for _, path := range timings(j.Timing) {
			if err := fsx.Copy(path, filepath.Join(work, filepath.Base(path))); err != nil {
				return err
			}
		}
	}
	if i := j.c.Implicit; i == nil || i.Table == "" {
		return nil
	}
	digest, err := fsx.Digest(j.Table)
	if err != nil {
		return err
	}
	if digest != j.c.Implicit.Table {
		return fault.New(fault.Input, "reading calibration table", j.Table, "it is not the one that the request names: its sha256 is "+digest, "build with the table as it is now")
	}
	native, err := NativeTable(j.Table)
	if err != nil {
		return err
	}
	if native != j.c.Implicit.NativeTable { // the provider would read one as the other
		forms := map[bool]string{true: "TensorRT's own cache", false: "not TensorRT's own cache"}
		return fault.New(fault.Usage, "reading calibration table", j.Table, fmt.Sprintf("it is %s, asked for is one that is %s", forms[native], forms[!native]), "say table-native as it is")
	}
	return fsx.Copy(j.Table, filepath.Join(j.dir, tableFile))
}

// NativeTable tells a calibration table of TensorRT's own format, whose first line
// begins with its version, from one of ONNX Runtime's.
func NativeTable(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(nativeTag))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fsx.Explain("reading", path, err)
	}
	return string(head[:n]) == nativeTag, nil
}

const nativeTag = "TRT-"

func timings(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "*.timing"))
	return found
}

// keepTiming puts the timing cache where the next build finds it, whole, and takes
// it away from the engine, which does not need it.
func (j *job) keepTiming() error {
	work := filepath.Join(j.dir, timingDir)
	if j.Timing != "" {
		if err := os.MkdirAll(j.Timing, 0o755); err != nil {
			return fsx.Explain("creating", j.Timing, err)
		}
		for _, path := range timings(work) {
			if err := keepFile(path, filepath.Join(j.Timing, filepath.Base(path))); err != nil {
				return err
			}
		}
	}
	return fsx.Explain("removing", work, os.RemoveAll(work))
}

// keepFile replaces a file by another in one step.
func keepFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fsx.Explain("reading", from, err)
	}
	defer func() { _ = f.Close() }()
	return fsx.WriteFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
