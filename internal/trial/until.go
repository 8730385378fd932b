package trial

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/stats"
)

// ParseUntil reads a precision as people write it, "1%" or "0.01"; "" is none.
func ParseUntil(text string) (share float64, err error) {
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	share, err = strconv.ParseFloat(number, 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share > 0 && share < 1) {
		return 0, fmt.Errorf("%q: want a share between 0 and 100 %%, such as 1%% or 0.01", text)
	}
	return share, nil
}

// remember takes from samples what later turns need: the level of steady requests,
// and how often in a row a system failed.
func (t *Trial) remember(samples []bench.Sample) {
	touched := map[pair]bool{}
	for _, s := range samples {
		for i, c := range t.Cases {
			if !c.Has(s) {
				continue
			}
			at := pair{s.Engine, i}
			touched[at] = true
			if t.lost[at] = 0; s.Failure != nil {
				t.lost[at] = t.failedTurns(at)
			}
		}
	}
	for at := range touched {
		if t.known[at.system] == nil {
			t.known[at.system] = map[string]float64{}
		}
		c := t.Cases[at.index]
		if v := values(t.of(at), func(s bench.Sample) float64 { return s.E2E }); len(v) > 0 && len(c.Requests) == 0 {
			t.known[at.system][c.Key()] = stats.Median(v).Value
		}
	}
}

// failedTurns is how many of the last turns of a system at a case failed, one after
// the other.
func (t *Trial) failedTurns(at pair) int {
	all := t.of(at)
	n, round := 0, -1
	for i := len(all) - 1; i >= 0 && all[i].Failure != nil; i-- {
		if all[i].Round != round {
			n, round = n+1, all[i].Round
		}
	}
	return n
}

// values are a figure of the samples that succeeded.
func values(samples []bench.Sample, of func(bench.Sample) float64) []float64 {
	var all []float64
	for _, s := range samples {
		if s.Failure == nil {
			all = append(all, of(s))
		}
	}
	return all
}

// further are the turns of one more round: of each system at a case whose medians
// are not within Until yet, as many requests as are thought to be needed, at most as
// many again as it had.
func (t *Trial) further() []bench.Turn {
	if t.Until <= 0 {
		return nil
	}
	round := 0
	for _, s := range t.out.Samples {
		round = max(round, s.Round+1)
	}
	var turns []bench.Turn
	for _, s := range t.Systems {
		for i := range t.Cases {
			at := pair{s.Name, i}
			n := t.taken(at)
			if more := min(t.needed(at)-n, n, t.Most-n); more > 0 && t.lost[at] < giveUp {
				turns = append(turns, bench.Turn{Round: round, Engine: s.Name, Case: i, Repetitions: more})
			}
		}
	}
	return bench.Shuffle(t.Seed+uint64(round), turns)
}

// figures are those whose medians Until holds.
var figures = []struct {
	name string
	of   func(bench.Sample) float64
}{
	{"TTFT", func(s bench.Sample) float64 { return s.TTFT }},
	{"the whole request", func(s bench.Sample) float64 { return s.E2E }},
	{"TPOT", bench.Sample.TPOT},
}

// widest is the figure whose median is known least well, and the share of it to which
// it is known.
func (t *Trial) widest(at pair) (name string, share float64) {
	for _, figure := range figures {
		s := stats.Median(values(t.of(at), figure.of))
		if known := max(s.Hi-s.Value, s.Value-s.Lo) / s.Value; name == "" || known > share {
			name, share = figure.name, known
		}
	}
	return name, share
}

// needed is how many requests bring the interval of each median of a system at a
// case within Until of it.
func (t *Trial) needed(at pair) int {
	samples, n := t.of(at), 0
	for _, figure := range figures {
		v := values(samples, figure.of)
		n = max(n, stats.Needed(v, t.Until)+len(samples)-len(v))
	}
	return n
}

// missed says which medians are not within Until in the end, so that nobody takes
// them for it.
func (t *Trial) missed() (warnings []string) {
	for _, s := range t.Systems {
		for i, c := range t.Cases {
			at := pair{s.Name, i}
			if n := t.taken(at); t.Until > 0 && t.lost[at] < giveUp && t.needed(at) > n {
				warnings = append(warnings, fmt.Sprintf("%s, %s: after %d requests, the most that were allowed (--most), %s", s.Name, c.Key(), n, t.short(at)))
			}
		}
	}
	return warnings
}

// short is how far the widest median is from what Until asks for.
func (t *Trial) short(at pair) string {
	name, share := t.widest(at)
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return fmt.Sprintf("the median of %s has no 95 %% interval, and is to be known within %.3g %%", name, 100*t.Until)
	}
	return fmt.Sprintf("the median of %s is known within %.2g %%, not %.3g %%", name, 100*share, 100*t.Until)
}
