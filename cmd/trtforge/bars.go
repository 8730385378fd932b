package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
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
		b.mpb = mpb.New(mpb.WithOutput(f), mpb.WithWidth(28), mpb.WithRefreshRate(120*time.Millisecond))
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
	return b.terminal(name)
}

type mute struct{ progress.Counter }

func (mute) Done(error) {}

// terminalBar is a bar of mpb; its notes stand behind it.
type terminalBar struct {
	bar  *mpb.Bar
	note *note
}

// note is the text behind a bar, set by the worker and read by the renderer.
type note struct {
	mu   sync.Mutex
	text string
}

func (n *note) set(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = s
}

func (n *note) get(decor.Statistics) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text
}

// nameWidth fits the longest stage name, "validate/ortcpu-int8".
const nameWidth = 24

func (b *bars) terminal(name string) pipeline.Bar {
	n := &note{}
	bar := b.mpb.New(0,
		mpb.BarStyle().Lbound(" ").Rbound(" ").Filler("━").Tip("━").Padding("─"),
		mpb.BarFillerClearOnComplete(), mpb.BarFillerOnComplete(""),
		mpb.PrependDecorators(
			decor.OnAbort(decor.OnComplete(decor.Spinner(nil, decor.WC{W: 2}), "✓ "), "✗ "),
			decor.Name(name, decor.WC{W: nameWidth, C: decor.DindentRight}),
			decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 6}),
		),
		mpb.AppendDecorators(
			decor.OnAbort(decor.OnComplete(decor.NewPercentage("%d ", decor.WC{W: 6}), ""), ""),
			decor.OnAbort(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_MMSS, decor.WC{W: 6}), ""), ""),
			decor.OnAbort(decor.OnComplete(decor.Any(n.get, decor.WC{C: decor.DextraSpace}), ""), ""),
		),
	)
	return &terminalBar{bar: bar, note: n}
}

func (t *terminalBar) SetMax(n int64)                   { t.bar.SetTotal(n, false) }
func (t *terminalBar) Set(n int64)                      { t.bar.SetCurrent(n) }
func (t *terminalBar) Note(text string)                 { t.note.set(text) }
func (t *terminalBar) Sub(name string) progress.Counter { return part{t, name} }
func (t *terminalBar) Done(err error) {
	if err != nil {
		t.bar.Abort(false)
	} else {
		t.bar.SetTotal(-1, true)
	}
	t.bar.Wait()
}

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

// lines reports a stage without a terminal: when it began to take long, every
// ten seconds, and when it ended.
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
func (l *lines) Note(s string)  { l.update(func() { l.note = s }) }

func (l *lines) Sub(name string) progress.Counter { return part{l, name} }

func (l *lines) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if time.Since(l.last) < lineEvery {
		return
	}
	l.last = time.Now()
	share := ""
	if l.max > 0 {
		share = fmt.Sprintf(" %d %%", 100*l.done/l.max)
	}
	_, _ = fmt.Fprintf(l.out, "%-*s %6s%s %s\n", nameWidth, l.name, since(l.start), share, l.note)
}

func (l *lines) Done(err error) {
	mark := "done"
	if err != nil {
		mark = "failed"
	}
	_, _ = fmt.Fprintf(l.out, "%-*s %6s %s\n", nameWidth, l.name, since(l.start), mark)
}

func since(t time.Time) string { return fmt.Sprintf("%.1f s", time.Since(t).Seconds()) }
