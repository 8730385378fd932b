// Package stats is the statistics of measurements: centres with intervals, tests
// of a difference, and fits, for benchmarks and validation alike.
//
//	s := stats.Median(samples) // s.Value, s.Lo, s.Hi
//
// It knows no engines, rows or gates.
package stats
