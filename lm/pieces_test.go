package lm

import (
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// A prompt in pieces leaves the cache that the whole prompt leaves.
func TestPiecesEqualTheWhole(t *testing.T) {
	rows := [][]int64{{3, 1, 4, 1, 5, 9, 2, 6, 5, 3}, {7, 1, 8, 2, 8, 1, 8}} // the second row is padded
	for name, c := range map[string]*contract.Contract{"concat": fakeContract(fullKinds...), "static": fakeStatic(16)} {
		for _, columns := range [][]int{{10}, {4, 6}, {4, 4, 2}, {5, 1, 1, 1, 1, 1}} {
			want := decode(t, first(newDecoder(t, c, Options{Batch: 2, Capacity: 16})), lengthened(rows), 10)
			d, s := newDecoder(t, c, Options{Batch: 2, Capacity: 16})
			if err := d.PreparePieces(columns, 5); err != nil {
				t.Fatal(err)
			}
			binds := s.binds
			for range 2 {
				got := inPieces(t, d, rows, columns)
				for i := range want {
					for b := range rows {
						if diff := maxDiff(got[i][b], want[i][b]); diff > 1e-6 {
							t.Errorf("%s in %v: step %d, row %d differs by %g", name, columns, i, b, diff)
						}
					}
				}
			}
			if s.binds != binds {
				t.Errorf("%s in %v: %d bindings beyond those prepared", name, columns, s.binds-binds)
			}
			// Whole again, and in pieces that nobody prepared.
			if l, err := d.Prefill(rows); err != nil || maxDiff(l.Row(1, -1), want[0][1]) > 1e-6 {
				t.Errorf("%s in %v, then whole: %v", name, columns, err)
			}
			other := inPieces(t, d, rows, []int{6, 4})
			if diff := maxDiff(other[3][1], want[3][1]); diff > 1e-6 {
				t.Errorf("%s in pieces not prepared differs by %g", name, diff)
			}
			if err := d.Close(); err != nil || s.open != 0 {
				t.Errorf("%s: after Close %d bindings are open, err %v", name, s.open, err)
			}
		}
	}
}

// lengthened puts the tokens behind rows that inPieces steps through.
func lengthened(rows [][]int64) (all [][]int64) {
	for _, r := range rows {
		all = append(all, append(append([]int64{}, r...), 1, 2, 3, 4))
	}
	return all
}

// inPieces is decode with the prompt in pieces, for four steps.
func inPieces(t *testing.T, d *Decoder, rows [][]int64, columns []int) (all [][][]float32) {
	t.Helper()
	total := 0
	for _, n := range columns {
		total += n
	}
	var l Logits
	at := 0
	for i, n := range columns {
		var piece [][]int64
		for _, r := range rows {
			pad := total - len(r)
			piece = append(piece, r[max(at-pad, 0):at+n-pad])
		}
		var err error
		if i == 0 {
			l, err = d.Prefill(piece)
		} else {
			l, err = d.Extend(piece)
		}
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	for id := int64(0); ; id++ {
		var at [][]float32
		for b := range rows {
			at = append(at, append([]float32{}, l.Row(b, -1)...))
		}
		all = append(all, at)
		if id == 4 {
			return all
		}
		var err error
		if l, err = d.Step([]int64{id + 1, id + 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPiecesThatCannotBe(t *testing.T) {
	d, _ := newDecoder(t, fakeContract(fullKinds...), Options{Batch: 2, Capacity: 8})
	two := func(n int) [][]int64 { return [][]int64{make([]int64, n), make([]int64, n)} }
	_, nothing := d.Extend(two(2))
	if _, err := d.Prefill(two(3)); err != nil {
		t.Fatal(err)
	}
	_, rows := d.Extend(two(2)[:1])
	_, uneven := d.Extend([][]int64{{1}, {1, 2}})
	_, long := d.Extend(two(6))
	if _, err := d.Step([]int64{1, 2}); err != nil {
		t.Fatal(err)
	}
	_, late := d.Extend(two(1))
	buckets, _ := newDecoder(t, fakeContract(fullKinds...), Options{Batch: 2, Capacity: 8, Buckets: []int{4}})
	for name, err := range map[string]error{"nothing before": nothing, "rows": rows, "uneven": uneven, "long": long, "after a step": late,
		"too long": d.PreparePieces([]int{4, 4}, 2), "buckets": buckets.PreparePieces([]int{2, 2}, 1)} {
		if fault.Exit(err) != 2 {
			t.Errorf("%s: got %v, want an error of class usage", name, err)
		}
	}
}

// Without a cache each token is what it is with one, and what is prepared
// allocates nothing and binds nothing.
func TestUncachedEqualsCached(t *testing.T) {
	rows := lengthened([][]int64{{3, 1, 4, 1, 5, 9, 2, 6}, {2, 8, 1}})
	for name, c := range map[string]*contract.Contract{"concat": fakeContract(fullKinds...), "static": fakeStatic(16)} {
		want := decode(t, first(newDecoder(t, c, Options{Batch: 2, Capacity: 12})), rows, 8)
		d, s := newDecoder(t, c, Options{Batch: 2, Capacity: 12, Uncached: true})
		if err := d.Prepare(8, 5); err != nil {
			t.Fatal(err)
		}
		got := decode(t, d, rows, 8)
		for i := range want {
			for b := range rows {
				if diff := maxDiff(got[i][b], want[i][b]); diff > 1e-6 {
					t.Errorf("%s: step %d, row %d differs by %g", name, i, b, diff)
				}
			}
		}
		if s.binds != 5 {
			t.Errorf("%s: %d bindings for 5 lengths", name, s.binds)
		}
		prompt, next := [][]int64{rows[0][:8], rows[1][:3]}, make([]int64, 2)
		allocs := testing.AllocsPerRun(3, func() {
			l, err := d.Prefill(prompt)
			for range 4 {
				if err != nil || !l.Greedy(next) {
					t.Fatal("the run failed:", err)
				}
				l, err = d.Step(next)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %g allocations in a prepared run", name, allocs)
		}
		if _, err := d.Step(next); fault.Exit(err) != 2 {
			t.Errorf("%s: a step beyond the capacity gives %v", name, err)
		}
		if err := d.Close(); err != nil || s.open != 0 {
			t.Errorf("%s: after Close %d bindings are open, err %v", name, s.open, err)
		}
	}
}

// The logits of all lengths share the memory of the longest.
func TestUncachedSharesItsLogits(t *testing.T) {
	d, _ := newDecoder(t, fakeContract(fullKinds...), Options{Batch: 1, Capacity: 40, Uncached: true})
	if err := d.Prepare(10, 31); err != nil {
		t.Fatal(err)
	}
	longest, shortest := d.whole.passes[40], d.whole.passes[10]
	if &longest.bytes[0] != &shortest.bytes[0] || len(shortest.bytes) != len(longest.bytes)/4 {
		t.Error("the passes do not share their memory")
	}
}
