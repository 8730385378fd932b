package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/pipeline"
)

// terminalBar is a stage on a terminal: while it runs a mark that turns, its
// name, time, bar, share, time left and note; then one short line that stays.
// It uses no colour, so there is none for NO_COLOR to switch off.
type terminalBar struct {
	bar   *mpb.Bar
	all   *mpb.Progress
	out   io.Writer // prints above the bars
	name  string
	start time.Time

	mu        sync.Mutex
	done, max int64
	note      string
	turn      int
	board     *board // nil until something shows a table
}

const (
	barWidth = 28
	// etaAfter is how long the pace must have been seen before it is believed.
	etaAfter = 2 * time.Second
)

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

func openTerminalBar(p *mpb.Progress, out io.Writer, name string) pipeline.Bar {
	t := &terminalBar{all: p, out: out, name: name, start: time.Now()}
	t.bar = p.New(0,
		mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"),
		mpb.BarFillerTrim(),
		mpb.BarFillerMiddleware(t.whileCounting),
		mpb.PrependDecorators(decor.Any(t.head)),
		mpb.AppendDecorators(decor.Any(t.tail)),
	)
	return t
}

// whileCounting draws the bar only where it tells something.
func (t *terminalBar) whileCounting(bar mpb.BarFiller) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		t.mu.Lock()
		idle := t.max <= 0
		t.mu.Unlock()
		if idle {
			return nil
		}
		return bar.Fill(w, s)
	})
}

// head is what stands before the bar. It begins at the left edge, from which the
// echo of a Ctrl-C moves the cursor.
func (t *terminalBar) head(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn++
	return fmt.Sprintf("\r%c %-*s %7s  ", spinner[t.turn%len(spinner)], nameWidth, t.name, since(t.start))
}

// tail is what stands behind it, cut to the width that the bar leaves; in a
// narrow terminal they share.
func (t *terminalBar) tail(s decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.max <= 0 {
		return cut(t.note, s.AvailableWidth)
	}
	text := fmt.Sprintf(" %3d %%  ", percent(t.done, t.max))
	if left, known := t.left(); known {
		text += strings.Replace(spell(left.Truncate(time.Second)), ".0", "", 1) + " left  "
	}
	return cut(text+t.note, max(s.AvailableWidth-barWidth-2, s.AvailableWidth/2))
}

// left is how long the rest takes at the pace so far.
func (t *terminalBar) left() (d time.Duration, known bool) {
	elapsed := time.Since(t.start)
	if t.done <= 0 || t.done >= t.max || elapsed < etaAfter {
		return 0, false
	}
	return time.Duration(float64(elapsed) / float64(t.done) * float64(t.max-t.done)), true
}

// cut shortens text to a number of columns.
func cut(text string, width int) string {
	r := []rune(text)
	switch {
	case len(r) <= width:
		return text
	case width < 1:
		return ""
	}
	return string(r[:width-1]) + "…"
}

// SetMax sets how much there is to do.
func (t *terminalBar) SetMax(n int64) {
	t.update(func() { t.max = n })
	t.bar.SetTotal(n, false)
}

// Set says how much of it is done.
func (t *terminalBar) Set(n int64) {
	t.update(func() { t.done = n })
	t.bar.SetCurrent(n)
}

// Note says what is being done.
func (t *terminalBar) Note(text string) { t.update(func() { t.note = oneLine(text) }) }

// Sub is a part of the work, which shows as a note.
func (t *terminalBar) Sub(name string) progress.Counter { return part{t, name} }

// Show puts the table of a trial below the bars.
func (t *terminalBar) Show(v trial.View) {
	rows := boardRows()
	text := boardText(v, rows)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.board == nil {
		t.board = newBoard(t.all, min(rows, len(text)))
	}
	t.board.show(text)
}

func (t *terminalBar) update(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// Done takes the bar away and leaves one line. Lines scroll where finished bars
// would not: a pipeline may have more stages than the terminal has rows.
func (t *terminalBar) Done(err error) {
	mark := "✓"
	if err != nil {
		mark = "✗"
	}
	if t.board != nil {
		t.board.close()
	}
	t.bar.Abort(true)
	t.bar.Wait()
	_, _ = fmt.Fprintf(t.out, "\r%s %-*s %7s\n", mark, nameWidth, t.name, since(t.start))
}
