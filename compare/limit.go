package compare

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
)

// Limit is how much worse the figures of a name may get.
type Limit struct {
	Figure string  // a pattern (path.Match) of names; empty = the headline figures
	Share  float64 // 0.03 is 3 %
}

// Limits are a regression gate. The first limit that names a figure decides.
type Limits []Limit

// headline are the figures that a limit without a name holds.
var headline = []string{bench.TTFT, bench.TPOT, bench.E2E, bench.PrefillRate, bench.DecodeRate, bench.Failed}

// ParseLimits reads limits as the command line writes them: "3%" or "0.03" for the
// headline figures, "tpot=2%", "kl_*=10%".
func ParseLimits(texts []string) (Limits, error) {
	var all Limits
	for _, text := range texts {
		var l Limit
		share := text
		if name, value, named := strings.Cut(text, "="); named {
			l.Figure, share = name, value
		}
		number, percent := strings.CutSuffix(strings.TrimSpace(share), "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if percent {
			v /= 100
		}
		_, pattern := path.Match(l.Figure, "")
		if err != nil || pattern != nil || !(v >= 0) || math.IsInf(v, 0) {
			return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("%q is no limit", text), "as 3% or tpot=2%, kl_*=10%")
		}
		l.Share = v
		all = append(all, l)
	}
	return all, nil
}

// of is the limit of a figure.
func (ls Limits) of(name string) (Limit, bool) {
	for _, l := range ls {
		if l.Figure == "" {
			if slices.Contains(headline, name) {
				return l, true
			}
		} else if ok, _ := path.Match(l.Figure, name); ok {
			return l, true
		}
	}
	return Limit{}, false
}

// Breach is a figure that the gate does not let pass.
type Breach struct {
	Change Change  `json:"change"`
	Limit  float64 `json:"limit"`
	Why    string  `json:"why"`
}

// Broken are the figures that got worse by more than their limit, with the whole 95 %
// interval beyond it, and those of which nothing can be said that would let them pass:
// they are gone, are no number any more or were refused.
func (ls Limits) Broken(c *Comparison) []Breach {
	var all []Breach
	for _, one := range c.Changes {
		l, held := ls.of(one.Name)
		if !held || one.Class == New {
			continue
		}
		if why := one.breaks(l.Share); why != "" {
			all = append(all, Breach{one, l.Share, why})
		}
	}
	// What got worse comes first: build servers show ten.
	slices.SortStableFunc(all, func(a, b Breach) int { return rank(a.Change.Class) - rank(b.Change.Class) })
	return all
}

func rank(c Class) int {
	if c == Gone || c == Refused {
		return 1
	}
	return 0
}

// Idle are the names in limits that no figure has: such a limit holds nothing.
func (ls Limits) Idle(c *Comparison) (names []string) {
	for _, l := range ls {
		has := func(one Change) bool { ok, _ := path.Match(l.Figure, one.Name); return ok }
		if l.Figure != "" && !slices.ContainsFunc(c.Changes, has) {
			names = append(names, l.Figure)
		}
	}
	return names
}

// Open are the names of held figures that got worse by more than their limit, of which
// the interval does not show it: the gate lets them pass, and whoever leans on it must
// know.
func (ls Limits) Open(c *Comparison) (names []string) {
	for _, one := range c.Changes {
		l, held := ls.of(one.Name)
		if share, lo, _, ok := one.Worse(); held && ok && share > l.Share && !(lo > l.Share) {
			names = append(names, one.Label())
		}
	}
	return names
}

// breaks says why the figure is beyond its limit; empty where it is not.
func (c Change) breaks(limit float64) string {
	switch {
	case c.Class == Gone:
		return "it is gone"
	case c.Class == Refused:
		return "it was not compared: " + c.Warnings[0]
	case c.Class == Regressed && notFinite(float64(c.New.Value)):
		return c.Warnings[0]
	case c.Class == Regressed && c.Ratio == nil:
		return fmt.Sprintf("it was %.4g and is %.4g, which is no share", float64(c.Old.Value), float64(c.New.Value))
	}
	// The interval alone decides, not the adjusted p: of few samples and many figures
	// that would let anything pass.
	share, lo, _, ok := c.Worse()
	if !ok || !(lo > limit) {
		return ""
	}
	return fmt.Sprintf("%.3g %% worse, at least %.3g %%, limit %.3g %%", 100*share, 100*lo, 100*limit)
}
