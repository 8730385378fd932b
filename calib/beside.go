package calib

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// beside does n pieces of work, which share nothing, on all processors.
func beside(n int, work func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	all.Wait()
}
