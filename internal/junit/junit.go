// Package junit writes test reports in the XML that Jenkins, GitLab and most
// other servers read.
//
// There is no standard; this is the part that all of them share (Ant's format as
// its readers take it):
//
//	err := junit.Write(w, junit.Suite{Name: "profiles check", Cases: []junit.Case{{Name: "TF301", Failure: "..."}}})
//
// It decides nothing and reads nothing back.
package junit

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Suite is one report.
type Suite struct {
	Name  string
	Cases []Case
}

// Case is one check. It passed unless Failure or Skipped says otherwise; Failure
// wins.
type Case struct {
	Class   string // groups cases: a stage, a file
	Name    string
	Time    time.Duration
	Failure string // in one line, why it failed
	Detail  string // the whole story of a failure
	Skipped string // why it was not judged
	Output  string // of a case that passed with remarks
}

type testsuites struct {
	XMLName  xml.Name  `xml:"testsuites"`
	Tests    int       `xml:"tests,attr"`
	Failures int       `xml:"failures,attr"`
	Suite    testsuite `xml:"testsuite"`
}

type testsuite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     string     `xml:"time,attr"` // seconds
	Cases    []testcase `xml:"testcase"`
}

type testcase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
	Output  string   `xml:"system-out,omitempty"`
}

type message struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Write writes the report. What XML cannot carry (control characters, broken
// UTF-8) becomes the replacement character.
func Write(w io.Writer, s Suite) error {
	out := testsuite{Name: clean(s.Name), Tests: len(s.Cases)}
	var total time.Duration
	for _, c := range s.Cases {
		t := testcase{Class: clean(c.Class), Name: clean(c.Name), Time: seconds(c.Time), Output: clean(c.Output)}
		switch {
		case c.Failure != "":
			t.Failure = &message{clean(c.Failure), "failure", clean(c.Detail)}
			out.Failures++
		case c.Skipped != "":
			t.Skipped = &message{Message: clean(c.Skipped)}
			out.Skipped++
		}
		total += c.Time
		out.Cases = append(out.Cases, t)
	}
	out.Time = seconds(total)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(testsuites{Tests: out.Tests, Failures: out.Failures, Suite: out}); err != nil {
		return fmt.Errorf("writing JUnit report: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// clean keeps what XML 1.0 allows.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
