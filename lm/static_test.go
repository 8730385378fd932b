package lm

import (
	"math"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// A prefill for each bucket and two steps are all that is ever bound.
func TestStaticIsBoundOnce(t *testing.T) {
	d, s := newDecoder(t, fakeStatic(40), Options{Batch: 2, Capacity: 40, Buckets: []int{16, 4, 8}})
	if err := d.Prepare(4, 25); err != nil {
		t.Fatal(err)
	}
	if s.binds != 3 {
		t.Errorf("%d bindings for one bucket and 24 steps, want 3", s.binds)
	}
	for _, n := range []int{7, 8, 5, 1, 3, 16, 12} {
		if err := d.Prepare(n, 20); err != nil {
			t.Fatal(err)
		}
	}
	if s.binds != 5 || s.open != 5 {
		t.Errorf("%d bindings for three buckets, %d open, want 5", s.binds, s.open)
	}
	prompts := [][][]int64{{{1, 2, 3, 4}, {5, 6}}, {{1, 2, 3, 4, 5, 6}, {7}}, {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {9, 8, 7}}}
	next := make([]int64, 2)
	allocs := testing.AllocsPerRun(3, func() {
		for _, p := range prompts {
			l, err := d.Prefill(p)
			for range 24 {
				if err != nil || !l.Greedy(next) {
					t.Fatal("the run failed:", err)
				}
				l, err = d.Step(next)
			}
		}
	})
	if allocs != 0 || s.binds != 5 {
		t.Errorf("%g allocations in three prepared runs, %d bindings", allocs, s.binds)
	}
	if err := d.Close(); err != nil || s.open != 0 {
		t.Errorf("after Close %d bindings are open, err %v", s.open, err)
	}
}

// Without buckets the binding of the last length is let go, the steps are not.
func TestStaticLengthsWithoutBuckets(t *testing.T) {
	d, s := newDecoder(t, fakeStatic(20), Options{Batch: 1, Capacity: 20})
	for n := 1; n < 9; n++ {
		if err := d.Prepare(n, 10); err != nil {
			t.Fatal(err)
		}
		if s.open != 3 {
			t.Errorf("%d bindings are open after a prompt of %d, want 3", s.open, n)
		}
	}
	if err := d.Close(); err != nil || s.open != 0 {
		t.Errorf("after Close %d bindings are open, err %v", s.open, err)
	}
}

// What a request leaves in the buffers, NaN even, is nothing to the next one.
func TestStaticForgetsTheLastRequest(t *testing.T) {
	rows := [][]int64{{3, 1, 4, 1, 5, 9, 2}, {2, 7, 1, 8, 2, 8, 1}}
	d, _ := newDecoder(t, fakeStatic(8), Options{Batch: 2, Capacity: 8})
	want := decode(t, d, rows, 3)
	for _, n := range []int{1, 8} {
		if _, err := d.Prefill([][]int64{make([]int64, n), make([]int64, n)}); err != nil {
			t.Fatal(err)
		}
		for range 8 - n {
			if _, err := d.Step([]int64{6, 6}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range d.cache {
			for _, b := range d.cache[i].buffers {
				for j := range floats(b, len(b)/4) {
					floats(b, len(b)/4)[j] = float32(math.NaN())
				}
			}
		}
		got := decode(t, d, rows, 3)
		for i := range want {
			for b := range rows {
				if !slices.Equal(got[i][b], want[i][b]) {
					t.Errorf("after a prompt of %d: column %d of row %d differs from a fresh decoder's", n, i, b)
				}
			}
		}
		for i := range d.cache {
			for _, b := range d.cache[i].buffers {
				for j, v := range floats(b, len(b)/4) {
					if v != v {
						t.Fatalf("column %d is NaN still", j/2%8)
					}
				}
			}
		}
	}
}

func TestStaticRefusals(t *testing.T) {
	d, _ := newDecoder(t, fakeStatic(12), Options{Batch: 1, Capacity: 10, Buckets: []int{4, 8}})
	_, long := d.Prefill([][]int64{make([]int64, 9)})
	for name, err := range map[string]error{
		"longer than every bucket": long, "bucket and steps": d.Prepare(5, 4),
	} {
		if fault.Exit(err) != 2 {
			t.Errorf("%s: got %v, want an error of class usage", name, err)
		}
	}
	if err := d.Prepare(5, 3); err != nil {
		t.Errorf("a bucket of 8 and 2 steps in 10 columns: %v", err)
	}
	for name, damage := range map[string]func(c *contract.Contract, o *Options){
		"longer than the buffer": func(_ *contract.Contract, o *Options) { o.Capacity = 13 },
		"bucket beyond capacity": func(_ *contract.Contract, o *Options) { o.Buckets = []int{11} },
		"no columns": func(c *contract.Contract, _ *Options) {
			for _, t := range c.Inputs[3:7] {
				t.Dims[2].Size = -1
			}
		},
		"no heads": func(c *contract.Contract, _ *Options) {
			for _, t := range c.Inputs[3:7] {
				t.Dims[1].Size = 0
			}
		},
		"no place to write": func(c *contract.Contract, _ *Options) { c.Inputs = c.Inputs[:len(c.Inputs)-1] },
		"no mask":           func(c *contract.Contract, _ *Options) { c.Inputs = slices.Delete(c.Inputs, 1, 2) },
		"a place and no buffer": func(c *contract.Contract, _ *Options) {
			c.Inputs = append(fakeContract(fullKinds...).Inputs, c.Inputs[len(c.Inputs)-1])
		},
	} {
		c, o := fakeStatic(12), Options{Batch: 1, Capacity: 10}
		damage(c, &o)
		if _, err := NewDecoder(&fakeSession{c: c}, c, o); fault.Exit(err) != 4 {
			t.Errorf("%s: got %v, want an error of class input", name, err)
		}
	}
}
