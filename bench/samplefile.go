package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/keep"
)

// SamplesVersion is the version of samples.jsonl that this program writes and the
// newest that it reads.
const SamplesVersion = 1

// The bounds of an untrusted file of samples.
const (
	maxSampleLine = 64 << 20 // a request of a million tokens
	maxSamples    = 4 << 20
	maxSampleSize = 4 << 30 // bytes of a whole file
)

// sampleRecord is a sample as a line of a file.
type sampleRecord struct {
	Kind          string `json:"kind"` // "sample"
	SchemaVersion int    `json:"schema_version"`
	CreatedBy     string `json:"created_by"`
	Sample
}

// WriteSamples writes one line a sample. What it writes may be appended to a file
// of samples.
func WriteSamples(w io.Writer, createdBy string, all []Sample) error {
	for _, s := range all {
		b, err := json.Marshal(sampleRecord{Kind: "sample", SchemaVersion: SamplesVersion, CreatedBy: createdBy, Sample: s})
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
		if err != nil {
			return fmt.Errorf("writing a sample of %s, %s: %w", s.Engine, s.Scenario, err)
		}
	}
	return nil
}

// ReadSamples reads what WriteSamples wrote. A line that is no sample, is of a
// newer version or was cut off is an error of class input that names it.
func ReadSamples(r io.Reader, name string) ([]Sample, error) {
	all, _, err := readSamples(r, name)
	return all, err
}

// RecoverSamples reads samples.jsonl of a run that was killed while it wrote: a
// last line without its end is left out. whole is how many bytes of the file are
// complete lines.
func RecoverSamples(r io.Reader, name string) (all []Sample, whole int64, err error) {
	all, whole, err = readSamples(r, name)
	var cut *cutLine
	if errors.As(err, &cut) {
		err = nil
	}
	return all, whole, err
}

// cutLine is a last line that does not end.
type cutLine struct{ bytes int }

func (c *cutLine) Error() string {
	return fmt.Sprintf("the line is cut off after %d bytes", c.bytes)
}

func readSamples(r io.Reader, name string) (all []Sample, whole int64, err error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxSampleSize), 64<<10)
	for line := 1; ; line++ {
		b, err := sampleLine(in)
		if errors.Is(err, io.EOF) {
			return all, whole, nil
		}
		at := fmt.Sprintf("%s:%d", name, line)
		if err == nil && len(all) == maxSamples {
			err = fmt.Errorf("more than %d samples", maxSamples)
		}
		if err != nil {
			return all, whole, fault.Wrap(fault.Input, "reading samples", at, err, "remove the line, or measure again")
		}
		whole += int64(len(b))
		if len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		s, err := parseSample(b, at)
		if err != nil {
			return all, whole, err
		}
		all = append(all, s)
	}
}

// sampleLine is the next line with its end; io.EOF where there is none, a cutLine
// where its end is missing.
func sampleLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case err == nil:
			return line, nil
		case len(line) > maxSampleLine:
			return nil, fmt.Errorf("the line is longer than %d bytes", maxSampleLine)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, &cutLine{len(line)}
		default:
			return nil, err
		}
	}
}

func parseSample(b []byte, at string) (Sample, error) {
	var rec sampleRecord
	err := json.Unmarshal(b, &rec)
	switch {
	case err != nil:
		return Sample{}, fault.Wrap(fault.Input, "reading samples", at, keep.Explain(err), "remove the line, or measure again")
	case rec.Kind != "sample" || rec.SchemaVersion < 1 || rec.SchemaVersion > SamplesVersion:
		return Sample{}, fault.New(fault.Input, "reading samples", at,
			fmt.Sprintf("kind %q of version %d, this program reads samples up to version %d", rec.Kind, rec.SchemaVersion, SamplesVersion),
			"use the trtforge that wrote the file, or measure again")
	}
	if rec.Mode == "" {
		rec.Mode = Cached
	}
	return rec.Sample, fault.Wrap(fault.Input, "reading samples", at, rec.check(), "remove the line, or measure again")
}

// check finds what no measurement can have given.
func (s Sample) check() error {
	if s.Engine == "" || s.Scenario == "" || s.Batch < 1 || s.PromptTokens < 1 || s.NewTokens < 1 || s.Depth < 0 {
		return errors.New("a sample has an engine, a scenario, and a batch, prompt and new tokens of 1 or more")
	}
	if len(s.Lengths) > 0 && len(s.Lengths) != s.Batch {
		return fmt.Errorf("%d lengths for %d rows", len(s.Lengths), s.Batch)
	}
	if s.Failure != nil {
		return nil
	}
	if len(s.Gaps) > 0 && len(s.Gaps) != s.NewTokens-1 {
		return fmt.Errorf("%d gaps between %d tokens", len(s.Gaps), s.NewTokens)
	}
	if s.TTFT == 0 {
		return errors.New("a first token after 0 ms: the clock stood still")
	}
	for _, v := range append([]float64{s.TTFT, s.E2E - s.TTFT, s.Run, s.Load}, s.Gaps...) {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%g ms is no time", v)
		}
	}
	return nil
}
