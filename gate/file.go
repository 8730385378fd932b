package gate

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/trtforge/trtforge/internal/fault"
)

// maxFile bounds a file of limits, as a pipeline file is bounded.
const maxFile = 1 << 20

// precisions are those that engines have, and limits may be for.
var precisions = []string{"fp32", "fp16", "bf16", "int8", "w8"}

// ReadFile reads the limits out of the [gate.PRECISION] tables of a TOML file: one
// of nothing else, or a pipeline file. All mistakes are reported at once, as errors
// of class usage.
func ReadFile(path string) (map[string]Limits, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading gates", path, err, "give a TOML file with [gate.int8] and the like")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, "reading gates", path, err, "")
	}
	if len(b) > maxFile {
		return nil, fault.New(fault.Usage, "reading gates", path, fmt.Sprintf("more than the %d bytes that limits need", maxFile), "check the path")
	}
	return Parse(path, string(b))
}

// Parse is ReadFile for the text of the file at path.
func Parse(path, text string) (map[string]Limits, error) {
	var file struct {
		Gate map[string]map[string]any `toml:"gate"`
	}
	if _, err := toml.Decode(text, &file); err != nil {
		var p toml.ParseError
		if errors.As(err, &p) {
			return nil, fault.New(fault.Usage, "reading gates", fmt.Sprintf("%s:%d", path, p.Position.Line), p.Message, "mend the line")
		}
		return nil, fault.Wrap(fault.Usage, "reading gates", path, err, "mend the value")
	}
	if len(file.Gate) == 0 {
		return nil, fault.New(fault.Usage, "reading gates", path, "it has no [gate.PRECISION] table", "write one, as [gate.int8] with ppl_ratio_max = 1.1")
	}
	limits := map[string]Limits{}
	var errs []error
	for _, precision := range slices.Sorted(maps.Keys(file.Gate)) {
		l := Limits{}
		for name, v := range file.Gate[precision] {
			n, ok := number(v)
			if !ok {
				errs = append(errs, fault.New(fault.Usage, "reading gates", path, fmt.Sprintf("[gate.%s] %s is no number", precision, name), ""))
				continue
			}
			l[name] = n
		}
		errs = append(errs, CheckPrecision(precision), Check(precision, l))
		limits[precision] = l
	}
	return limits, errors.Join(errs...)
}

// number is a TOML value as a float64.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// CheckPrecision refuses limits for what no engine is, as class usage.
func CheckPrecision(precision string) error {
	if slices.Contains(precisions, precision) {
		return nil
	}
	return fault.New(fault.Usage, "reading", "[gate."+precision+"]", "no engine has that precision", "want gate.fp32, gate.fp16, gate.bf16, gate.int8 or gate.w8")
}
