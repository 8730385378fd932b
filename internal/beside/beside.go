// Package beside does pieces of work that share nothing side by side.
//
//	beside.Do(len(tensors), beside.All, func(i int) { count(tensors[i]) })
//
// Which processor takes which piece is not said, so a result must not depend on it.
package beside

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// All is as many at once as there are processors.
const All = 1 << 30

// Do does the pieces 0 to n-1, most at once at the most, and no more than there are
// processors. Each processor takes the next piece when it is free: pieces that take
// longest come best first.
func Do(n, most int, work func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(n, most, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	all.Wait()
}
