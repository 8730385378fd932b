// Package stats is the statistics of measurements: centres with intervals, tests
// of a difference, and fits, for benchmarks and validation alike.
//
//	s := stats.Median(samples)                     // s.Value, s.Lo, s.Hi
//	r := stats.RatioOfMedians(new, old, seed)      // how many times
//	p := stats.Holm([]float64{stats.MannWhitney(new, old).P, …})
//	c := stats.Crossover(groups, 0, seed)          // from which size on
//
// Every interval is of 95 %. What it assumes:
//
//   - [Median], [Quantile], [HodgesLehmann], [PairedRatio]: nothing but independent
//     samples. Their ends are order statistics.
//   - [GroupedQuantile]: independent groups of samples that resemble each other.
//   - [Mean]: bootstrap-t, because it holds its level on skewed times where BCa
//     and Student's do not.
//   - [BCa], [RatioOfMeans], [Blocks]: bias-corrected and accelerated bootstrap;
//     [RatioOfMedians] and [Crossover]: percentile bootstrap.
//   - [Wilson]: the binomial.
//
// Below the least number of samples an interval's ends are infinite and a warning
// says so; [Summary.HasInterval] tells. Samples that are not finite make a figure
// NaN: what failed must be sorted out before. Everything drawn comes from a seed,
// so the same samples give the same ends.
//
// Ranks, order statistics and the exact distribution of U come from
// golang.org/x/perf/benchmath and aclements/go-moremath, as in benchstat.
//
// It knows no engines, rows or gates.
package stats
