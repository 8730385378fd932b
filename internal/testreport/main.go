// Testreport turns `go test -json` on standard input into what a person wants
// to see of a long run: go test's own line for each package, the output of what
// failed, every skip with its reason, and the ten slowest tests.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

type outcome struct {
	name    string
	seconds float64
	output  string
}

type summary struct {
	skipped, failed, all []outcome
	passed               int
}

func main() {
	s, err := read(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	s.write(os.Stdout)
}

// read passes go test's own lines through as they come.
func read(r io.Reader, w io.Writer) (*summary, error) {
	s := &summary{}
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			_, _ = fmt.Fprintln(w, lines.Text()) // the compiler's words, or a crash
			continue
		}
		name := strings.TrimPrefix(e.Package, "github.com/trtforge/trtforge/") + " " + e.Test
		if e.Action == "output" {
			if e.Test == "" {
				_, _ = io.WriteString(w, e.Output)
			} else {
				if output[name] == nil {
					output[name] = &strings.Builder{}
				}
				output[name].WriteString(e.Output)
			}
			continue
		}
		if e.Test != "" {
			s.add(e, name, output[name])
		}
	}
	return s, lines.Err()
}

func (s *summary) add(e event, name string, output *strings.Builder) {
	o := outcome{name: name, seconds: e.Elapsed}
	if output != nil {
		o.output = output.String()
	}
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped = append(s.skipped, o)
	case "fail":
		s.failed = append(s.failed, o)
	default:
		return
	}
	s.all = append(s.all, o)
}

func (s *summary) write(w io.Writer) {
	for _, f := range s.failed {
		_, _ = fmt.Fprintf(w, "\n--- %s\n%s", f.name, f.output)
	}
	_, _ = fmt.Fprintf(w, "\nskipped: %d\n", len(s.skipped))
	for _, k := range s.skipped {
		_, _ = fmt.Fprintf(w, "  %s: %s\n", k.name, reason(k.output))
	}
	slices.SortFunc(s.all, func(a, b outcome) int { return cmp.Compare(b.seconds, a.seconds) })
	_, _ = fmt.Fprintln(w, "slowest:")
	for _, o := range s.all[:min(10, len(s.all))] {
		_, _ = fmt.Fprintf(w, "  %6.1f s  %s\n", o.seconds, o.name)
	}
	_, _ = fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", s.passed, len(s.failed), len(s.skipped))
}

// reason is the line that t.Skip printed.
func reason(output string) string {
	for _, line := range strings.Split(output, "\n") {
		if i := strings.Index(line, ".go:"); i >= 0 {
			return strings.TrimSpace(line)
		}
	}
	return "no reason given"
}
