package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/vbauerster/mpb/v8"
	"golang.org/x/term"

	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/pipeline"
)

// bars shows work on standard error: moving bars with an ETA on a terminal,
// plain lines elsewhere, nothing when quiet. It is the writer for all talk, so
// that a message never tears a bar.
type bars struct {
	w     io.Writer
	quiet bool
	mpb   *mpb.Progress // nil where there is no terminal
	mu    sync.Mutex
}

func newBars(w io.Writer, quiet bool) *bars {
	b := &bars{w: w, quiet: quiet}
	f, isFile := w.(*os.File)
	if !quiet && isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		b.mpb = mpb.New(mpb.WithOutput(f), mpb.WithWidth(barWidth), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return b
}

// Write prints talk above the bars.
func (b *bars) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mpb != nil {
		if n, err := b.mpb.Write(p); err == nil {
			return n, nil
		}
	}
	return b.w.Write(p)
}

// close leaves the last state of the bars on the screen.
func (b *bars) close() {
	if b.mpb != nil {
		b.mpb.Shutdown()
	}
}

// open begins the bar of a stage.
func (b *bars) open(name string) pipeline.Bar {
	switch {
	case b.quiet:
		return mute{progress.Noop}
	case b.mpb == nil:
		return &lines{out: b, name: name, start: time.Now(), last: time.Now()}
	}
	return openTerminalBar(b.mpb, b, name)
}

type mute struct{ progress.Counter }

func (mute) Done(error) {}

// nameWidth fits the longest stage name, "validate/ortcpu-int8".
const nameWidth = 24

// part is a piece of work inside a bar: it shows as a note, since a bar that
// jumps back with every part tells less than one that does not move.
type part struct {
	whole interface{ Note(string) }
	name  string
}

func (p part) SetMax(int64)                     {}
func (p part) Set(int64)                        {}
func (p part) Note(text string)                 { p.whole.Note(p.name + " " + text) }
func (p part) Sub(name string) progress.Counter { return part{p.whole, p.name + "/" + name} }

// lines reports a stage without a terminal: every ten seconds, and when it ended.
type lines struct {
	out   io.Writer
	name  string
	start time.Time

	mu        sync.Mutex
	last      time.Time
	done, max int64
	note      string
}

const lineEvery = 10 * time.Second

func (l *lines) SetMax(n int64) { l.update(func() { l.max = n }) }
func (l *lines) Set(n int64)    { l.update(func() { l.done = n }) }
func (l *lines) Note(s string)  { l.update(func() { l.note = oneLine(s) }) }

func (l *lines) Sub(name string) progress.Counter { return part{l, name} }

func (l *lines) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if time.Since(l.last) < lineEvery {
		return
	}
	l.last = time.Now()
	line := fmt.Sprintf("%-*s %6s", nameWidth, l.name, since(l.start))
	if l.max > 0 {
		line += fmt.Sprintf(" %d %%", percent(l.done, l.max))
	}
	if l.note != "" {
		line += " " + l.note
	}
	_, _ = fmt.Fprintln(l.out, line)
}

func (l *lines) Done(err error) {
	mark := "done"
	if err != nil {
		mark = "failed"
	}
	_, _ = fmt.Fprintf(l.out, "%-*s %6s %s\n", nameWidth, l.name, since(l.start), mark)
}

// since is a time as people say it: "3.2 s", "4:05", "1:02:03".
func since(t time.Time) string { return spell(time.Since(t)) }

func spell(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	}
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// percent keeps to 0 and 100 whatever a builder counts.
func percent(done, of int64) int64 {
	return int64(100 * min(1, max(0, float64(done)/float64(of))))
}

// oneLine is text without what would move the cursor: notes come from builders.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " ")
}
