package profiles

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// distribution is how often each length occurs, as whole numbers: sums of them
// are exact, and a length that occurs at all has at least 1.
type distribution struct {
	from   int
	counts []int64
}

// The bounds of distributions. Their product, pairs of lengths, is half a
// second of work.
const (
	precision   = 1 << 30 // the parts into which a distribution is divided
	maxPairs    = 1 << 28
	maxSpecText = 1 << 20
	maxWeight   = 1 << 20 // of one length of a histogram
)

// ParseLengths reads the distribution of prompt lengths and of new tokens, as in
//
//	lognormal:median=180,p95=900,max=2048 + uniform:16..256
//
// Either is one of
//
//	N                                 always N
//	uniform:LO..HI                    every length equally often
//	lognormal:median=M,p95=P,max=N    half are shorter than M, 95 % shorter than P
//	lognormal:mean=M,stddev=S,max=N   by mean and standard deviation in tokens
//	lognormal:mu=U,sigma=S,max=N      by mean and deviation of the logarithm
//	hist:LEN=N,LO..HI=N,...           so many of a length, or of a range together
//
// A lognormal may state min (1 unless given). Its tail beyond max is left out, so
// max is asked for: a distribution without end has no profile. The two lengths
// are independent. limit leaves out pairs that reach further than so many
// positions; 0 leaves out none. Nonsense is an error of class usage.
func ParseLengths(text string, limit int, feedLast bool) (*Requests, error) {
	bad := func(cause string) error {
		return fault.New(fault.Usage, "reading lengths", strconv.Quote(clip(text)), cause,
			`want PROMPT + NEW, each a number, uniform:LO..HI, lognormal:median=M,p95=P,max=N or hist:LEN=COUNT,...`)
	}
	if len(text) > maxSpecText {
		return nil, bad("it is too long")
	}
	p, n, err := distributions(text)
	if err != nil {
		return nil, bad(err.Error())
	}
	if p.from < 1 {
		return nil, bad("a prompt has at least one token")
	}
	if len(p.counts)*len(n.counts) > maxPairs {
		return nil, bad(fmt.Sprintf("%d prompt lengths times %d answers are too many, the limit is %d pairs: give narrower ranges", len(p.counts), len(n.counts), maxPairs))
	}
	r := pairs(p, n, limit, feedLast)
	if r.Number == 0 {
		return nil, bad(fmt.Sprintf("nothing of it fits into %d positions", limit))
	}
	r.Name = "lengths " + clip(text)
	return r, nil
}

// distributions are those of the two lengths.
func distributions(text string) (prompt, fresh distribution, err error) {
	p, f, two := strings.Cut(text, "+")
	if !two {
		return prompt, fresh, errors.New("the new tokens are missing after a +")
	}
	if prompt, err = parseDistribution(strings.TrimSpace(p)); err != nil {
		return prompt, fresh, fmt.Errorf("prompt: %w", err)
	}
	if fresh, err = parseDistribution(strings.TrimSpace(f)); err != nil {
		return prompt, fresh, fmt.Errorf("new tokens: %w", err)
	}
	return prompt, fresh, nil
}

func clip(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "..."
	}
	return text
}

// pairs is the requests of two independent lengths. Rows of pairs are summed
// without Add, which would take several times as long.
func pairs(p, n distribution, limit int, feedLast bool) *Requests {
	r := &Requests{Share: true}
	last := p.from + len(p.counts) - 1
	r.prompts = make([]int64, last+1)
	r.starts = make([]int64, last+1)
	r.ends = make([]int64, last+n.from+len(n.counts))
	for i, a := range p.counts {
		prompt := p.from + i
		fits := len(n.counts)
		if limit > 0 {
			for fits > 0 && reach(prompt, n.from+fits-1, feedLast) > limit {
				fits--
			}
		}
		for j, b := range n.counts[:fits] {
			r.Number += a * b
			r.prompts[prompt] += a * b
			if fresh := n.from + j; fresh > 0 {
				r.starts[prompt] += a * b
				r.ends[prompt+fresh] += a * b
			}
		}
	}
	r.unit = 1 / max(float64(r.Number), 1)
	return r
}

func parseDistribution(text string) (distribution, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch strings.TrimSpace(kind) {
	case "uniform":
		lo, hi, err := parseRange(rest)
		if err != nil {
			return distribution{}, err
		}
		d := distribution{lo, make([]int64, hi-lo+1)}
		for i := range d.counts {
			d.counts[i] = 1
		}
		return d, nil
	case "lognormal":
		return parseLognormal(rest)
	case "hist":
		return parseHistogram(rest)
	}
	n, err := parseLength(text)
	if err != nil {
		return distribution{}, fmt.Errorf("%q is no distribution", clip(text))
	}
	return distribution{n, []int64{1}}, nil
}

func parseLength(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > maxTokens {
		return 0, fmt.Errorf("%q is no length from 0 to %d", clip(text), maxTokens)
	}
	return n, nil
}

// parseRange reads LO..HI, or one length.
func parseRange(text string) (lo, hi int, err error) {
	a, b, two := strings.Cut(text, "..")
	if lo, err = parseLength(a); err != nil {
		return 0, 0, err
	}
	if hi = lo; two {
		hi, err = parseLength(b)
	}
	if err == nil && hi < lo {
		err = fmt.Errorf("%d..%d ends before it begins", lo, hi)
	}
	return lo, hi, err
}

// parseHistogram reads LEN=COUNT and LO..HI=COUNT, the count shared evenly.
func parseHistogram(text string) (distribution, error) {
	type bin struct{ lo, hi, n int }
	var bins []bin
	lo, hi := maxTokens, 0
	for part := range strings.SplitSeq(text, ",") {
		length, count, _ := strings.Cut(part, "=")
		a, b, err := parseRange(length)
		if err != nil {
			return distribution{}, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n < 1 || n > maxWeight {
			return distribution{}, fmt.Errorf("%q: want LENGTH=COUNT, a whole count from 1 to %d", clip(part), maxWeight)
		}
		bins = append(bins, bin{a, b, n})
		lo, hi = min(lo, a), max(hi, b)
	}
	total := 0.0
	for _, b := range bins {
		total += float64(b.n)
	}
	work := 0
	for _, b := range bins {
		if work += b.hi - b.lo + 1; work > maxPairs {
			return distribution{}, fmt.Errorf("the ranges of its %d counts hold more than %d lengths together", len(bins), maxPairs)
		}
	}
	weights := make([]float64, hi-lo+1)
	for _, b := range bins {
		for i := b.lo; i <= b.hi; i++ {
			weights[i-lo] += float64(b.n) / float64(b.hi-b.lo+1) / total
		}
	}
	return whole(lo, weights), nil
}

// whole divides weights, whose sum is 1, into whole parts. What occurs at all
// keeps one.
func whole(from int, weights []float64) distribution {
	d := distribution{from, make([]int64, len(weights))}
	for i, w := range weights {
		if w > 0 {
			d.counts[i] = max(int64(math.Round(w*precision)), 1)
		}
	}
	return d
}

// parseLognormal reads one of the three forms.
func parseLognormal(text string) (distribution, error) {
	values := map[string]float64{"min": 1}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > maxTokens {
			return distribution{}, fmt.Errorf("lognormal %q: want KEY=NUMBER", clip(part))
		}
		if !slices.Contains([]string{"median", "p95", "mean", "stddev", "mu", "sigma", "min", "max"}, key) {
			return distribution{}, fmt.Errorf("a lognormal has no %q", clip(key))
		}
		values[key] = v
	}
	mu, sigma, err := logarithm(values)
	if err != nil {
		return distribution{}, err
	}
	lo, hi := values["min"], values["max"]
	if hi == 0 {
		return distribution{}, fmt.Errorf("a lognormal has no end: say max=N, such as the model's positions less the new tokens")
	}
	if lo < 0 || hi < max(lo, 1) || lo != math.Trunc(lo) || hi != math.Trunc(hi) {
		return distribution{}, fmt.Errorf("lengths from %g to %g", lo, hi)
	}
	below := func(x float64) float64 { // the share that is shorter than x
		if x <= 0 {
			return 0
		}
		return 0.5 * math.Erfc(-(math.Log(x)-mu)/(sigma*math.Sqrt2))
	}
	weights := make([]float64, int(hi-lo)+1)
	sum := 0.0
	for i := range weights {
		n := lo + float64(i)
		weights[i] = below(n+0.5) - below(n-0.5)
		sum += weights[i]
	}
	if sum < 1e-9 {
		return distribution{}, fmt.Errorf("nothing of it lies from %g to %g", lo, hi)
	}
	for i := range weights { // a length that is possible is a length
		weights[i] = max(weights[i]/sum, 1.0/precision)
	}
	return whole(int(lo), weights), nil
}

// p95 is how many standard deviations above the mean 95 % of a normal lie below.
const p95 = 1.6448536269514722

// logarithm is the mean and the deviation of the logarithm.
func logarithm(v map[string]float64) (mu, sigma float64, err error) {
	has := func(a, b string) bool {
		_, ok1 := v[a]
		_, ok2 := v[b]
		return ok1 && ok2
	}
	switch {
	case has("median", "p95") && v["median"] > 0 && v["p95"] > v["median"]:
		return math.Log(v["median"]), math.Log(v["p95"]/v["median"]) / p95, nil
	case has("mean", "stddev") && v["mean"] > 0 && v["stddev"] > 0:
		s2 := math.Log1p(v["stddev"] * v["stddev"] / (v["mean"] * v["mean"]))
		return math.Log(v["mean"]) - s2/2, math.Sqrt(s2), nil
	case has("mu", "sigma") && v["sigma"] > 0:
		return v["mu"], v["sigma"], nil
	}
	return 0, 0, fmt.Errorf("a lognormal wants median and a larger p95, or mean and stddev, or mu and sigma")
}
