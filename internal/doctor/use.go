package doctor

// GPUUse is what a GPU did for a while.
type GPUUse struct {
	Readings    int      // how often it was asked; 0 = never, and nothing else is known
	MemoryBytes uint64   // of the processes asked about together, the most seen
	PowerW      float64  // of the whole GPU, mean
	SMClockMHz  float64  // mean
	Throttled   []string // reasons for which its clock was lowered, other than being idle
}
