package profiles

import (
	"cmp"
	"slices"
)

// source is what one scenario, or all requests of one trace or distribution,
// ask for at each of their batch sizes.
type source struct {
	batches  []band
	prompts  []point
	decode   []event // over past
	uncached []event // over seq
}

func (s source) holds(batch int) bool {
	return slices.ContainsFunc(s.batches, func(b band) bool { return b.from <= batch && batch < b.to })
}

// point is passes of one length.
type point struct {
	at     int
	passes float64
}

// event is where requests begin or cease to ask for each length. Requests are
// counted besides: sums of shares round, and what nobody asks for must be exactly
// nothing.
type event struct {
	at       int
	requests int64
	passes   float64
}

// span is a request that asks for each length of [from, to).
func span(events []event, from, to int, passes float64) []event {
	if to <= from {
		return events
	}
	return append(events, event{from, 1, passes}, event{to, -1, -passes})
}

// ledger adds up sources of one band of batch sizes.
type ledger struct {
	chunk    int
	both     bool // with cache and without
	prompts  []point
	decode   []event
	uncached []event
}

func (l *ledger) add(s source) {
	l.prompts = append(l.prompts, s.prompts...)
	l.decode = append(l.decode, s.decode...)
	l.uncached = append(l.uncached, s.uncached...)
}

// shapes are the blocks, their batch left open.
func (l *ledger) shapes() []Shape {
	prompts := sum(l.prompts)
	first := prompts
	var all []Shape
	if l.chunk > 0 {
		var later []Shape
		first, later = chunks(prompts, l.chunk)
		all = append(all, later...)
		if l.both { // without a cache a prompt is never cut
			first = sum(append(first, prompts...))
		}
	}
	all = append(all, blocks(Prefill, first, 0)...)
	stretches(l.decode, func(from, to int, passes float64) {
		all = append(all, Shape{Phase: Decode, Seq: 1, Past: from, Count: passes}.part(0, 1, 0, to-from))
	})
	stretches(l.uncached, func(from, to int, passes float64) {
		all = append(all, Shape{Phase: UncachedDecode, Seq: from, Count: passes}.part(0, 1, 0, to-from))
	})
	return all
}

// sum sorts points and adds up those of one length.
func sum(points []point) []point {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	var all []point
	for _, p := range sorted {
		if n := len(all); n > 0 && all[n-1].at == p.at {
			all[n-1].passes += p.passes
			continue
		}
		all = append(all, p)
	}
	return all
}

// blocks joins neighbours that are asked for as often.
func blocks(phase Phase, points []point, past int) []Shape {
	var all []Shape
	for _, p := range points {
		if n := len(all); n > 0 && all[n-1].Seq+all[n-1].run() == p.at && all[n-1].Count == p.passes {
			all[n-1].Run = all[n-1].run() + 1
			continue
		}
		all = append(all, Shape{Phase: phase, Seq: p.at, Past: past, Count: p.passes})
	}
	return all
}

// chunks cuts prompts into pieces of at most size tokens: the first pieces, and
// what follows them. Of the prompts that reach piece k, all that are longer ask
// for a whole one and the others for what is left of them.
func chunks(prompts []point, size int) (first []point, later []Shape) {
	longer := 0.0 // passes of prompts that end after piece k
	i := len(prompts) - 1
	if i < 0 {
		return nil, nil
	}
	for k := (prompts[i].at - 1) / size; k >= 0; k-- {
		var here []point
		for ; i >= 0 && prompts[i].at > k*size; i-- {
			here = append(here, point{prompts[i].at - k*size, prompts[i].passes})
		}
		ending := here
		if longer > 0 {
			here = append([]point{{size, longer}}, here...)
		}
		for _, p := range ending {
			longer += p.passes
		}
		if here = sum(here); k == 0 {
			first = here
		} else {
			later = append(later, blocks(ChunkedPrefill, here, k*size)...)
		}
	}
	return first, later
}

// stretches visits, in order, the lengths between events that somebody asks for.
func stretches(events []event, visit func(from, to int, passes float64)) {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	var requests int64
	passes, from := 0.0, 0
	for i := 0; i < len(sorted); {
		at, before, now := sorted[i].at, requests, passes
		for ; i < len(sorted) && sorted[i].at == at; i++ {
			requests += sorted[i].requests
			now += sorted[i].passes
		}
		if requests == 0 {
			now = 0
		}
		if now == passes && before > 0 && requests > 0 {
			continue // one ends where another begins
		}
		if before > 0 {
			visit(from, at, passes)
		}
		from, passes = at, now
	}
}
