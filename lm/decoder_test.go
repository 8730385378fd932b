package lm

import (
	"errors"
	"math"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

var fullKinds = []contract.Kind{contract.KindIDs, contract.KindMask, contract.KindPositions}

func newDecoder(t *testing.T, c *contract.Contract, o Options) (*Decoder, *fakeSession) {
	t.Helper()
	s := &fakeSession{c: c}
	d, err := NewDecoder(s, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// decode prefills the first n tokens of each row and steps through the rest,
// giving the logits of every column from n-1 on.
func decode(t *testing.T, d *Decoder, rows [][]int64, n int) [][][]float32 {
	t.Helper()
	var heads [][]int64
	for _, r := range rows {
		heads = append(heads, r[:len(r)-len(rows[0])+n])
	}
	l, err := d.Prefill(heads)
	if err != nil {
		t.Fatal(err)
	}
	var all [][][]float32
	keep := func(l Logits) {
		var at [][]float32
		for b := range rows {
			at = append(at, append([]float32{}, l.Row(b, -1)...))
		}
		all = append(all, at)
	}
	keep(l)
	next := make([]int64, len(rows))
	for i := n; i < len(rows[0]); i++ {
		for b, r := range rows {
			next[b] = r[len(r)-len(rows[0])+i]
		}
		if l, err = d.Step(next); err != nil {
			t.Fatal(err)
		}
		keep(l)
	}
	return all
}

func TestDecodeEqualsPrefill(t *testing.T) {
	rows := [][]int64{{3, 1, 4, 1, 5, 9, 2, 6}, {2, 7, 1, 8, 2, 8, 1, 8}}
	for kinds, c := range map[string]*contract.Contract{
		"full": fakeContract(fullKinds...), "no positions": fakeContract(contract.KindIDs, contract.KindMask), "ids": fakeContract(contract.KindIDs),
		"static": fakeStatic(8), "static, longer than asked for": fakeStatic(13),
	} {
		d, s := newDecoder(t, c, Options{Batch: 2, Capacity: 8})
		whole, err := d.Prefill(rows)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]float32{}, whole.Data...)
		whole.Data = want
		for _, n := range []int{1, 3, 7} {
			for i, got := range decode(t, d, rows, n) {
				for b := range rows {
					if diff := maxDiff(got[b], whole.Row(b, n-1+i)); diff > 1e-6 {
						t.Errorf("inputs %s, prompt %d, column %d, row %d: decode differs from prefill by %g", kinds, n, n-1+i, b, diff)
					}
				}
			}
		}
		if err := d.Close(); err != nil || s.open != 0 {
			t.Errorf("after Close %d bindings are open, err %v", s.open, err)
		}
	}
}

func TestRaggedRowsEqualSingleRows(t *testing.T) {
	buckets := Options{Batch: 2, Capacity: 12, Buckets: []int{10, 3}}
	for name, d := range map[string]*Decoder{
		"concat":            first(newDecoder(t, fakeContract(fullKinds...), Options{Batch: 2, Capacity: 12})),
		"static":            first(newDecoder(t, fakeStatic(12), Options{Batch: 2, Capacity: 12})),
		"concat in buckets": first(newDecoder(t, fakeContract(fullKinds...), buckets)),
		"static in buckets": first(newDecoder(t, fakeStatic(16), buckets)),
	} {
		t.Run(name, func(t *testing.T) { ragged(t, d) })
	}
}

func first(d *Decoder, _ *fakeSession) *Decoder { return d }

func ragged(t *testing.T, d *Decoder) {
	rows := [][]int64{{3, 1, 4, 1, 5, 9, 2, 6}, {8, 2, 8}}
	// A ragged run must leave no trace in a later even one, nor the reverse.
	for range 2 {
		l, err := d.Prefill(rows)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(len(rows[0]), d.bucket(len(rows[0]))); l.Seq != want {
			t.Errorf("logits of %d positions, want %d", l.Seq, want)
		}
		both := append([]float32{}, l.Row(1, -1)...)
		l, err = d.Step([]int64{7, 7})
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, l.Row(1, -1)...)

		one, _ := newDecoder(t, fakeContract(fullKinds...), Options{Batch: 1, Capacity: 12})
		l, err = one.Prefill(rows[1:])
		if err != nil {
			t.Fatal(err)
		}
		alone := append([]float32{}, l.Row(0, -1)...)
		l, err = one.Step([]int64{7})
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, l.Row(0, -1)...)
		if diff := maxDiff(both, alone); diff > 1e-6 {
			t.Errorf("a padded row differs from the row alone by %g", diff)
		}
		if _, err := d.Prefill([][]int64{{1, 2, 3}, {4, 5, 6}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	d, s := newDecoder(t, fakeContract(fullKinds...), Options{Batch: 2, Capacity: 40})
	if err := d.Prepare(4, 30); err != nil {
		t.Fatal(err)
	}
	if s.binds != 30 {
		t.Errorf("%d bindings for one prefill and 29 steps", s.binds)
	}
	prompt := [][]int64{{1, 2, 3, 4}, {5, 6}}
	next := make([]int64, 2)
	allocs := testing.AllocsPerRun(5, func() {
		l, err := d.Prefill(prompt)
		for range 29 {
			if err != nil || !l.Greedy(next) {
				t.Fatal("the run failed:", err)
			}
			l, err = d.Step(next)
		}
	})
	if allocs != 0 {
		t.Errorf("%g allocations in a prepared run of 29 steps", allocs)
	}
	if s.binds != 30 {
		t.Errorf("%d bindings after the runs, want none beyond those prepared", s.binds)
	}
}

func TestRefusals(t *testing.T) {
	d, _ := newDecoder(t, fakeContract(contract.KindIDs), Options{Batch: 2, Capacity: 4})
	_, noPrompt := d.Step([]int64{1, 2})
	_, rows := d.Prefill([][]int64{{1}})
	_, empty := d.Prefill([][]int64{{1}, {}})
	_, ragged := d.Prefill([][]int64{{1, 2}, {1}})
	_, long := d.Prefill([][]int64{{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}})
	_, err := d.Prefill([][]int64{{1, 2, 3, 4}, {1, 2, 3, 4}})
	if err != nil {
		t.Fatal(err)
	}
	_, full := d.Step([]int64{1, 2})
	for name, err := range map[string]error{"no prompt": noPrompt, "rows": rows, "empty": empty, "ragged": ragged, "long": long,
		"full": full, "prepare": d.Prepare(3, 3)} {
		if fault.Exit(err) != 2 {
			t.Errorf("%s: got %v, want an error of class usage", name, err)
		}
	}
}

func TestContractsThatCannotBeFed(t *testing.T) {
	broken := map[string]func(c *contract.Contract){
		"unknown input": func(c *contract.Contract) { c.Inputs[0].Kind = contract.KindOther },
		"no logits":     func(c *contract.Contract) { c.Outputs = c.Outputs[1:] },
		"layer missing": func(c *contract.Contract) { c.Outputs = c.Outputs[:len(c.Outputs)-1] },
		"types differ":  func(c *contract.Contract) { c.Outputs[1].Type = "float16" },
		"strange type":  func(c *contract.Contract) { c.Inputs[0].Type = "string" },
		"too long":      func(c *contract.Contract) { c.MaxPositions = 3 },
	}
	for name, damage := range broken {
		c := fakeContract(fullKinds...)
		damage(c)
		if _, err := NewDecoder(&fakeSession{c: c}, c, Options{Batch: 1, Capacity: 4}); fault.Exit(err) != 4 {
			t.Errorf("%s: got %v, want an error of class input", name, err)
		}
	}
	c := fakeContract(fullKinds...)
	s := &fakeSession{c: c, bindErr: errors.New("no memory")}
	d, err := NewDecoder(s, c, Options{Batch: 1, Capacity: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(2, 2); !errors.Is(err, s.bindErr) {
		t.Errorf("a binding that fails gives %v", err)
	}
}

func TestArgmax(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		in   []float32
		want int64
	}{{[]float32{1, 3, 2}, 1}, {[]float32{2, 2}, 0}, {[]float32{inf, inf}, 0}, {[]float32{inf, -9}, 1},
		{[]float32{1, nan, 2}, -1}, {[]float32{nan}, -1}, {nil, -1}} {
		if got := Argmax(c.in); got != c.want {
			t.Errorf("Argmax(%v) = %d, want %d", c.in, got, c.want)
		}
	}
	for n := range 4 * block { // every position in and behind whole blocks
		row := make([]float32, n+1)
		for at := range row {
			clear(row)
			if row[at] = 1; Argmax(row) != int64(at) {
				t.Errorf("the largest of %v is at %d, Argmax says %d", row, at, Argmax(row))
			}
			if row[at] = nan; Argmax(row) != -1 {
				t.Errorf("Argmax(%v) = %d, want -1", row, Argmax(row))
			}
		}
	}
}

func maxDiff(a, b []float32) float64 {
	var m float64
	for i := range a {
		m = math.Max(m, math.Abs(float64(a[i]-b[i])))
	}
	return m
}
