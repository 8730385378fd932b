// Package fault is the one error type that decides an exit status.
//
// An [Error] says what was being done (Stage), to what (Subject), why it failed
// (Cause) and what to do about it (Fix). Everything below the command line
// returns ordinary wrapped errors where nobody branches on them and an *Error
// where the class of failure is known; [Exit] turns any error, joined ones
// included, into the status that the command line documents.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code is a class of failure. Its text is what `--json` prints.
type Code string

// The classes, each with the exit status that the command line documents.
const (
	Gate      Code = "gate"      // 1: a gate or a check failed
	Usage     Code = "usage"     // 2: the command line or the configuration
	Missing   Code = "missing"   // 3: something this machine lacks
	Input     Code = "input"     // 4: unreadable, corrupt or too new input
	Runtime   Code = "runtime"   // 5: a builder or runtime failed, timed out or died; disk, permission
	Interrupt Code = "interrupt" // 130: SIGINT
	Terminate Code = "terminate" // 143: SIGTERM
)

// precedence orders the classes for an error that joins several: the first
// that occurs decides.
var precedence = []struct {
	code   Code
	status int
}{
	{Interrupt, 130}, {Terminate, 143}, {Usage, 2}, {Input, 4}, {Missing, 3}, {Runtime, 5}, {Gate, 1},
}

// Error is a failure that a user can act on.
type Error struct {
	Code    Code
	Stage   string // what was being done, a gerund: "loading", "exporting"
	Subject string // what it was done to: a path, a tensor, a key
	Cause   string // why it failed; where empty, Err says it
	Fix     string // what to do about it, an imperative without a full stop
	Err     error  // the cause below, for errors.Is and errors.As
}

// New is a failure of the given class with everything a user needs to know.
func New(code Code, stage, subject, cause, fix string) *Error {
	return &Error{Code: code, Stage: stage, Subject: subject, Cause: cause, Fix: fix}
}

// Wrap gives err a class, a place and a remedy. A nil err gives nil.
func Wrap(code Code, stage, subject string, err error, fix string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Stage: stage, Subject: subject, Fix: fix, Err: err}
}

// Error is one line without the fix, which the command line prints as a hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Stage != "" {
		b.WriteString(e.Stage)
		if e.Subject != "" {
			b.WriteByte(' ')
		}
	}
	b.WriteString(e.Subject)
	cause := e.Reason()
	if b.Len() > 0 && cause != "" {
		b.WriteString(": ")
	}
	b.WriteString(cause)
	return b.String()
}

// Reason is the cause in words.
func (e *Error) Reason() string {
	switch {
	case e.Err == nil:
		return e.Cause
	case e.Cause == "":
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Cause, e.Err)
}

// Unwrap gives errors.Is and errors.As the cause below.
func (e *Error) Unwrap() error { return e.Err }

// Exit is the exit status of err: 0 for nil, and for several joined errors the
// first of 130, 143, 2, 4, 3, 5, 1 that occurs. An error without a class is 5:
// something failed that nobody foresaw.
func Exit(err error) int {
	if err == nil {
		return 0
	}
	codes := map[Code]bool{}
	collect(err, codes)
	for _, p := range precedence {
		if codes[p.code] {
			return p.status
		}
	}
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 5
}

// Classify is the class that decides Exit; Runtime where none is known.
func Classify(err error) Code {
	status := Exit(err)
	for _, p := range precedence {
		if p.status == status {
			return p.code
		}
	}
	return Runtime
}

// collect notes the outermost class on every branch of err: a wrapper that
// classifies again (missing library inside a failed build) has the last word.
func collect(err error, codes map[Code]bool) {
	for err != nil {
		// Not errors.As: it would look through joins and find one branch only.
		if e, ok := err.(*Error); ok { //nolint:errorlint // walks the tree itself
			codes[e.Code] = true
			return
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, sub := range joined.Unwrap() {
				collect(sub, codes)
			}
			return
		}
		err = errors.Unwrap(err)
	}
}
