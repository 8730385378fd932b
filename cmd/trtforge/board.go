package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/stats"
)

// board is the table below a bar that fills while a trial runs: a line for each
// engine and case. mpb moves bars only, so each line is one.
type board struct {
	lines []*boardLine
}

type boardLine struct {
	bar  *mpb.Bar
	text atomic.Pointer[string]
}

// boardRows is how many lines fit: some of the terminal is left to what scrolls.
func boardRows() int {
	if _, height, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
		return max(height-6, 3)
	}
	return 12
}

// belowBars is a priority that no bar of a stage gets to.
const belowBars = 1 << 20

// newBoard opens n lines below all bars.
func newBoard(p *mpb.Progress, n int) *board {
	b := &board{}
	for i := range n {
		l := &boardLine{}
		l.bar = p.New(1, mpb.NopStyle(), mpb.BarFillerTrim(), mpb.BarPriority(belowBars+i),
			mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string {
				if t := l.text.Load(); t != nil {
					return cut(*t, s.AvailableWidth)
				}
				return ""
			})))
		b.lines = append(b.lines, l)
	}
	return b
}

// show puts text into the lines.
func (b *board) show(text []string) {
	for i, l := range b.lines {
		t := ""
		if i < len(text) {
			t = text[i]
		}
		l.text.Store(&t)
	}
}

// close takes the lines away.
func (b *board) close() {
	for _, l := range b.lines {
		l.bar.Abort(true)
	}
	for _, l := range b.lines {
		l.bar.Wait()
	}
}

// boardText is a view as lines, a heading and at most rows-1 of the table: those
// around the turn that runs where there are more.
func boardText(v trial.View, rows int) []string {
	engine, name := len("engine"), len("scenario")
	for _, s := range v.Systems {
		engine = min(max(engine, len([]rune(s))), 26)
	}
	for _, c := range v.Cases {
		name = min(max(name, len([]rune(c.Key()))), 22)
	}
	text := []string{fmt.Sprintf("  %-*s  %-*s %13s %13s %8s", engine, "engine", name, "scenario", "TTFT", "TPOT", "requests")}
	var table []string
	at := 0
	for i, c := range v.Cases {
		for _, system := range v.Systems {
			mark := " "
			if v.Running && v.Turn.Engine == system && v.Turn.Case == i {
				mark, at = "›", len(table)
			}
			table = append(table, fmt.Sprintf("%s %-*s  %-*s %s", mark, engine, cut(system, engine), name, cut(c.Key(), name), cell(v.Samples, system, c)))
		}
	}
	room := max(rows-1, 1)
	if len(table) <= room {
		return append(text, table...)
	}
	room = max(room-1, 1)
	from := min(max(at-room/2, 0), len(table)-room)
	return append(append(text, table[from:from+room]...), fmt.Sprintf("  … %d of %d lines", room, len(table)))
}

// cell is what an engine gave at a case so far.
func cell(samples []bench.Sample, system string, c bench.Case) string {
	var ttft, tpot []float64
	failed, class := 0, ""
	for _, s := range samples {
		switch {
		case s.Engine != system || !c.Has(s):
		case s.Failure != nil:
			failed++
			class = string(s.Failure.Class)
		default:
			ttft = append(ttft, s.TTFT)
			if s.NewTokens > 1 {
				tpot = append(tpot, s.TPOT())
			}
		}
	}
	line := fmt.Sprintf("%13s %13s %8d", precise(ttft), precise(tpot), len(ttft))
	if failed > 0 {
		line += fmt.Sprintf("  %d failed: %s", failed, class)
	}
	return strings.TrimRight(line, " ")
}

// precise is a median with the farther end of its interval, where there is one.
func precise(v []float64) string {
	text := milliseconds(v)
	if s := stats.Median(v); s.HasInterval() && s.Value > 0 {
		text += fmt.Sprintf(" ±%.0f%%", 100*max(s.Hi-s.Value, s.Value-s.Lo)/s.Value)
	}
	return text
}

// milliseconds is a median with its unit, three digits of it.
func milliseconds(v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	switch m := stats.Median(v).Value; {
	case m >= 1000:
		return fmt.Sprintf("%.2f s", m/1000)
	case m >= 100:
		return fmt.Sprintf("%.0f ms", m)
	case m >= 10:
		return fmt.Sprintf("%.1f ms", m)
	case m >= 0.1:
		return fmt.Sprintf("%.2f ms", m)
	default:
		return fmt.Sprintf("%.3f ms", m)
	}
}
