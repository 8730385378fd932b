package profiles

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Phase is what a forward pass is for.
type Phase string

// The phases.
const (
	Prefill        Phase = "prefill"         // first pass over a prompt, past = 0
	ChunkedPrefill Phase = "chunked_prefill" // a later pass over a prompt, past > 0
	Decode         Phase = "decode"          // seq = 1, past grows
	UncachedDecode Phase = "uncached_decode" // no cache: seq grows, past = 0
)

var order = map[Phase]int{Prefill: 0, ChunkedPrefill: 1, Decode: 2, UncachedDecode: 3}

// Shape is one demanded forward pass and how often it occurs, or a block of
// them: Batches consecutive batch sizes, and for each Run consecutive lengths.
// A request decodes at consecutive pasts, so its whole answer is one block
// however long it is.
type Shape struct {
	Phase   Phase   `json:"phase"`
	Batch   int     `json:"batch"`             // the smallest
	Seq     int     `json:"seq"`               // the smallest; it grows along Run, except in decode
	Past    int     `json:"past"`              // the smallest; it grows along Run in decode
	Count   float64 `json:"count"`             // passes of each shape per unit of weight, summed over all that ask
	Run     int     `json:"run,omitempty"`     // consecutive lengths; 0 is 1
	Batches int     `json:"batches,omitempty"` // consecutive batch sizes; 0 is 1
}

// Total is past + seq, the length of the mask.
func (s Shape) Total() int { return s.Past + s.Seq }

// Shapes is how many distinct shapes the block holds.
func (s Shape) Shapes() int { return s.run() * s.batches() }

// Passes is how many forward passes the block stands for, per unit of weight.
func (s Shape) Passes() float64 { return s.Count * float64(s.Shapes()) }

func (s Shape) run() int     { return max(s.Run, 1) }
func (s Shape) batches() int { return max(s.Batches, 1) }

// Last is the largest shape of the block.
func (s Shape) Last() Shape { return s.at(s.batches()-1, s.run()-1) }

// at is one shape of the block.
func (s Shape) at(batch, step int) Shape {
	s.Batch += batch
	if s.Phase == Decode {
		s.Past += step
	} else {
		s.Seq += step
	}
	s.Run, s.Batches = 0, 0
	return s
}

// part is the part of the block from batch b0 and step r0 up to b1 and r1, which
// are not in it.
func (s Shape) part(b0, b1, r0, r1 int) Shape {
	p := s.at(b0, r0)
	if b1-b0 > 1 {
		p.Batches = b1 - b0
	}
	if r1-r0 > 1 {
		p.Run = r1 - r0
	}
	return p
}

// Each visits every single shape of blocks.
func Each(blocks []Shape) iter.Seq[Shape] {
	return func(yield func(Shape) bool) {
		for _, s := range blocks {
			for b := range s.batches() {
				for r := range s.run() {
					if !yield(s.at(b, r)) {
						return
					}
				}
			}
		}
	}
}

// Count is how many shapes blocks hold; of blocks that no memory would hold as
// single shapes, which a file may claim, at most the largest number.
func Count(blocks []Shape) (n int) {
	for _, s := range blocks {
		if n += s.Shapes(); n < 0 {
			return math.MaxInt
		}
	}
	return n
}

// Passes is how many forward passes blocks stand for, per unit of weight.
func Passes(blocks []Shape) (n float64) {
	for _, s := range blocks {
		n += s.Passes()
	}
	return n
}

// String is the shape in words.
func (s Shape) String() string {
	last := s.Last()
	return fmt.Sprintf("%s batch %s, seq %s, past %s", s.Phase, fromTo(s.Batch, last.Batch), fromTo(s.Seq, last.Seq), fromTo(s.Past, last.Past))
}

func fromTo(a, b int) string {
	if a == b {
		return fmt.Sprint(a)
	}
	return fmt.Sprintf("%d to %d", a, b)
}

// Demand is every distinct shape that the workload produces, as blocks without
// overlap in the order of phase, batch, past and seq. Its size depends on how
// many different lengths there are, not on how many requests or steps.
func Demand(w Workload) []Shape {
	sources := w.sources()
	var all []Shape
	for _, b := range bands(sources) {
		l := ledger{chunk: w.Chunk, both: w.Mode == Both}
		for _, s := range sources {
			if s.holds(b.from) {
				l.add(s)
			}
		}
		for _, s := range l.shapes() {
			s.Batch = b.from
			if n := b.to - b.from; n > 1 {
				s.Batches = n
			}
			if w.PaddedPast {
				s.Past++
			}
			all = append(all, s)
		}
	}
	slices.SortFunc(all, compareShapes)
	return all
}

func compareShapes(a, b Shape) int {
	return cmp.Or(cmp.Compare(order[a.Phase], order[b.Phase]), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Past, b.Past), cmp.Compare(a.Seq, b.Seq))
}

// band is batch sizes from one up to another, which is not in it.
type band struct{ from, to int }

// bands cuts the batch sizes that sources ask for where what is asked changes.
func bands(sources []source) []band {
	var ends []int
	for _, s := range sources {
		for _, b := range s.batches {
			ends = append(ends, b.from, b.to)
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	var all []band
	for i := range max(len(ends)-1, 0) {
		b := band{ends[i], ends[i+1]}
		if slices.ContainsFunc(sources, func(s source) bool { return s.holds(b.from) }) {
			all = append(all, b)
		}
	}
	return all
}

// Distinct is how many shapes differ in batch, seq or past: a prefill and a step
// of one shape count once. Of more than 2^20 shapes it is the number with their
// phases told apart.
func Distinct(blocks []Shape) int {
	n := Count(blocks)
	if n > 1<<20 {
		return n
	}
	seen := make(map[[3]int]bool, n)
	for s := range Each(blocks) {
		seen[[3]int{s.Batch, s.Seq, s.Past}] = true
	}
	return len(seen)
}
