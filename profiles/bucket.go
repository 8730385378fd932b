package profiles

import (
	"math"
	"slices"
	"sort"
)

// group is shapes that one quantity tells apart: prefill by seq, decode and
// chunks by past.
type group struct {
	name   string
	shapes []Shape
	key    func(Shape) int // the quantity of a single shape
}

func bySeq(s Shape) int  { return s.Seq }
func byPast(s Shape) int { return s.Past }

// groups divides a demand. What one request asks without past, prompts and
// uncached steps, is one group. Decode comes last, but before chunks: a profile of
// pieces of a prompt may hold its steps as well, and a runtime takes the first that
// holds a shape.
func groups(demand []Shape) (all []group) {
	first, chunked, decode := group{name: "prefill", key: bySeq}, group{name: "chunk", key: byPast}, group{name: "decode", key: byPast}
	for _, s := range demand {
		switch s.Phase {
		case ChunkedPrefill:
			chunked.shapes = append(chunked.shapes, s)
		case Decode:
			decode.shapes = append(decode.shapes, s)
		default:
			first.shapes = append(first.shapes, s)
		}
	}
	for _, g := range []group{first, decode, chunked} {
		if len(g.shapes) > 0 {
			all = append(all, g)
		}
	}
	return all
}

// between is the part of the group with keys from lo to hi.
func (g group) between(lo, hi int) (all []Shape) {
	for _, s := range g.shapes {
		a, b := g.key(s), g.key(s.Last())
		switch {
		case b < lo || a > hi:
		case a == b:
			all = append(all, s)
		default: // the key grows along the run
			all = append(all, s.part(0, s.batches(), max(lo-a, 0), min(hi-a, b-a)+1))
		}
	}
	return all
}

// maxKeys bounds the table of the partition. Where more lengths occur neighbours
// are taken together, so that the best partition is found up to one part in
// maxKeys of them.
const maxKeys = 4096

// line is a group's lengths in order with the passes of each, as sums from the
// first: weight[i] and moment[i] are of the lengths before i.
type line struct {
	lo, hi         []int // of each bin; the same where bins are single lengths
	weight, moment []float64
}

// lay sums the passes of each length.
func (g group) lay() line {
	var events []event
	for _, s := range g.shapes {
		a, b := g.key(s), g.key(s.Last())
		n := s.Count * float64(s.batches())
		if a == b {
			n *= float64(s.run())
		}
		events = span(events, a, b+1, n)
	}
	type stretch struct {
		from, to int
		passes   float64
	}
	var all []stretch
	keys := 0
	stretches(events, func(from, to int, passes float64) {
		all = append(all, stretch{from, to, passes})
		keys += to - from
	})
	l := line{weight: []float64{0}, moment: []float64{0}}
	bin := (keys + maxKeys - 1) / maxKeys
	n := 0
	for _, s := range all {
		for at := s.from; at < s.to; {
			if n%bin == 0 {
				l.lo, l.hi = append(l.lo, at), append(l.hi, at)
				l.weight, l.moment = append(l.weight, l.weight[len(l.weight)-1]), append(l.moment, l.moment[len(l.moment)-1])
			}
			take := min(s.to-at, bin-n%bin)
			last := len(l.weight) - 1
			l.hi[last-1] = at + take - 1
			l.weight[last] += s.passes * float64(take)
			l.moment[last] += s.passes * float64(take) * (float64(at) + float64(take-1)/2)
			at, n = at+take, n+take
		}
	}
	return l
}

func (l line) len() int { return len(l.lo) }

// median is the bin of the weighted median of bins i to j.
func (l line) median(i, j int) int {
	half := (l.weight[i] + l.weight[j+1]) / 2
	return i + sort.Search(j-i, func(k int) bool { return l.weight[i+k+1] >= half*(1-1e-12) })
}

// waste is the tokens between the lengths of bins i to j and, first, the best
// optimum, then their largest, each summed over the passes.
func (l line) waste(i, j int) (opt, most float64) {
	m := l.median(i, j)
	at := float64(l.hi[m])
	w := func(a, b int) float64 { return l.weight[b] - l.weight[a] }
	sum := func(a, b int) float64 { return l.moment[b] - l.moment[a] }
	opt = at*w(i, m+1) - sum(i, m+1) + sum(m+1, j+1) - at*w(m+1, j+1)
	return max(opt, 0), max(float64(l.hi[j])*w(i, j+1)-sum(i, j+1), 0)
}

// partition is the best division of a line into 1, 2, ... most buckets: the cost
// of each and where its buckets end.
//
// The cost of a division is the sum over its buckets of cost(i, j). Where the
// best last bucket of a longer line never begins earlier than that of a shorter
// one, as it does for costs that obey the quadrangle inequality, each row of the
// table is found in n log n (divide and conquer). Ours do: the distance from a
// weighted median does, the distance from the largest does, and the memory at the
// maximum depends on j alone.
func partition(n, most int, cost func(i, j int) float64) (costs []float64, ends [][]int) {
	most = min(most, n)
	best := make([]float64, n+1) // of the first j bins
	for j := range best {
		best[j] = math.Inf(1)
	}
	best[0] = 0
	var begins [][]int32 // where the last bucket of the first j bins begins, by number of buckets
	for range most {
		next, begin := make([]float64, n+1), make([]int32, n+1)
		next[0] = math.Inf(1)
		row(best, next, begin, 1, n, 0, n-1, cost)
		best, begins = next, append(begins, begin)
		costs = append(costs, best[n])
	}
	for k := range begins {
		var e []int
		for j, b := n, k; b >= 0; b-- {
			e = append(e, j-1)
			j = int(begins[b][j])
		}
		slices.Reverse(e)
		ends = append(ends, e)
	}
	return costs, ends
}

// row fills next[lo..hi], whose last buckets begin from a to b.
func row(best, next []float64, begin []int32, lo, hi, a, b int, cost func(i, j int) float64) {
	if lo > hi {
		return
	}
	mid := (lo + hi) / 2
	at := a
	next[mid] = math.Inf(1)
	for i := a; i <= min(b, mid-1); i++ {
		if math.IsInf(best[i], 1) {
			continue
		}
		if v := best[i] + cost(i, mid-1); v < next[mid] {
			next[mid], at = v, i
		}
	}
	begin[mid] = int32(at)
	row(best, next, begin, lo, mid-1, a, at, cost)
	row(best, next, begin, mid+1, hi, at, b, cost)
}
