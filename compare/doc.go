// Package compare sets one set of measurements against another: two results
// directories, or two engines of one.
//
//	old, err := compare.Read("runs/main")
//	new, err := compare.Read("runs/branch")
//	c, err := compare.Runs(old, new, compare.Options{})
//	broken := limits.Broken(c) // the regression gate
//
// Figures are paired by engine, scenario, phase and name. Where the raw samples of
// both sides are there, they are compared by a rank test (exact for few samples) or
// a permutation test, Holm's adjustment over all figures that were tested, the
// interval of the ratio new/old and Cliff's delta. Two engines that took turns in the
// same rounds are compared round by round, which cancels the drift that they shared.
// Of a figure that has an interval but no samples (perplexity) the ratio's interval
// comes from those; a figure without spread (bytes) is compared as it is.
//
// A change is improved or regressed where the interval of the ratio and the adjusted
// p agree that there is one, unchanged where the whole interval lies within a margin
// of 1, and undecided else: absence of evidence is not called equality. Times from
// machines that differ are refused unless the caller insists; so are figures of a
// scenario that is another one under the same name.
//
// It measures nothing and knows no limits of accuracy (gate).
package compare
