// Package progress counts work for whoever watches.
//
// Rooms report through [Counter]; the bars themselves live in cmd/trtforge, so
// that nothing below it knows what a terminal is.
package progress

// Counter watches one piece of work. Its methods may be called from any
// goroutine.
type Counter interface {
	SetMax(n int64)          // how much there is to do; 0 = not known
	Set(n int64)             // how much is done
	Note(text string)        // what is being done now, a few words
	Sub(name string) Counter // a part of the work with a count of its own
}

// Noop watches nothing.
var Noop Counter = noop{}

type noop struct{}

func (noop) SetMax(int64)         {}
func (noop) Set(int64)            {}
func (noop) Note(string)          {}
func (n noop) Sub(string) Counter { return n }
