package format

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"

	"github.com/trtforge/trtforge/bench"
)

// Benchfmt writes each request that succeeded as a line of the Go benchmark format,
// so that benchstat compares engines (-col /engine) or two files:
//
//	BenchmarkChat/engine=ortcpu-fp32/mode=cached-2  1  9.75e+06 ns/op  6.25e+06 ns/ttft  1.75e+06 ns/tpot …
//
// ns/op is the whole request, ns/ttft and ns/tpot its parts, prefill-tok/s and
// decode-tok/s the rates, peak-B the memory. The number at the end is the threads.
func Benchfmt(w io.Writer, r Run) error {
	out := benchfmt.NewWriter(w)
	for _, unit := range []string{"prefill-tok/s", "decode-tok/s"} {
		meta := &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"}, OrigUnit: unit, Value: "higher"}
		if err := out.Write(meta); err != nil {
			return err
		}
	}
	goos, goarch, _ := strings.Cut(r.Machine.OS, "/")
	for _, s := range r.Samples {
		if s.Failure != nil {
			continue
		}
		res := &benchfmt.Result{Name: benchfmt.Name(benchName(s, r.Machine.Threads)), Iters: 1, Values: benchValues(s)}
		for _, c := range [][2]string{{"goos", goos}, {"goarch", goarch}, {"cpu", oneLine(r.Machine.CPU)}, {"trtforge", oneLine(r.CreatedBy)}} {
			if c[1] != "" {
				res.Config = append(res.Config, benchfmt.Config{Key: c[0], Value: []byte(c[1]), File: true})
			}
		}
		if err := out.Write(res); err != nil {
			return err
		}
	}
	return nil
}

// benchName is a benchmark's name with its configuration.
func benchName(s bench.Sample, threads int) string {
	name := word(s.Scenario)
	if r := []rune(name); len(r) > 0 {
		name = string(unicode.ToUpper(r[0])) + string(r[1:])
	}
	name += "/engine=" + word(s.Engine) + "/mode=" + string(s.Mode) + fmt.Sprintf("/batch=%d", s.Batch)
	if s.Depth > 0 {
		name += fmt.Sprintf("/depth=%d", s.Depth)
	}
	return fmt.Sprintf("%s-%d", name, max(threads, 1))
}

func benchValues(s bench.Sample) []benchfmt.Value {
	const ns = 1e6 // in a millisecond
	values := []benchfmt.Value{
		{Value: s.E2E * ns, Unit: "ns/op"},
		{Value: s.TTFT * ns, Unit: "ns/ttft"},
		{Value: 1000 * float64(s.Prompt()) / s.TTFT, Unit: "prefill-tok/s"},
	}
	if tpot := s.TPOT(); tpot > 0 {
		values = append(values, benchfmt.Value{Value: tpot * ns, Unit: "ns/tpot"}, benchfmt.Value{Value: 1000 * float64(s.Batch) / tpot, Unit: "decode-tok/s"})
	}
	if s.PeakRSS > 0 {
		values = append(values, benchfmt.Value{Value: float64(s.PeakRSS), Unit: "peak-B"})
	}
	return values
}

// word is text as a part of a benchmark's name, in which white space, a slash and a
// dash with digits behind it have a meaning.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' || r == '=' {
			return '_'
		}
		return r
	}, text)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
