package beside

import (
	"sync/atomic"
	"testing"
)

// Every piece is done once, and no more at once than may be.
func TestDo(t *testing.T) {
	for _, most := range []int{1, 2, All} {
		done := make([]atomic.Int64, 1000)
		var now, peak atomic.Int64
		Do(len(done), most, func(i int) {
			if n := now.Add(1); n > peak.Load() {
				peak.Store(n)
			}
			done[i].Add(1)
			now.Add(-1)
		})
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Fatalf("piece %d was done %d times", i, n)
			}
		}
		if peak.Load() > int64(most) {
			t.Errorf("%d at once, want %d at the most", peak.Load(), most)
		}
	}
	Do(0, All, func(int) { t.Error("there was no piece") })
}
