package profiles

import "github.com/trtforge/trtforge/contract"

// Costs are the prices by which plans are compared. Their unit is a token a
// pass: what it costs that the mean pass has one new token more than the shape
// for which its kernels were chosen.
type Costs struct {
	// Opt is the price of a new token between a pass and its profile's optimum:
	// kernels are chosen for the optimum, and the further a shape is from it the
	// worse they fit.
	Opt float64
	// Max is the price of a new token between a pass and its profile's maximum.
	// TensorRT computes the shape that is asked and not the maximum, so it is
	// small; but a kernel that could not do the maximum is never chosen.
	Max float64
	// Past is what a token of past counts for beside a new one, in both. Only
	// attention depends on the past; every product with weights on new tokens.
	Past float64
	// Profile is the price of one more profile: each is tuned by itself.
	Profile float64
	// GiB is the price of a GiB, of memory at the maxima (a context for each
	// profile) or of what the plan file grows by.
	GiB float64
}

// DefaultCosts are the prices where none are given.
var DefaultCosts = Costs{Opt: 1, Max: 1.0 / 16, Past: 1.0 / 64, Profile: 1.0 / 4, GiB: 1}

// Waste is how many tokens lie between passes and a shape.
type Waste struct {
	Seq  float64 `json:"seq_tokens"`
	Past float64 `json:"past_tokens"`
}

// over is the waste divided among passes.
func (w Waste) over(passes float64) Waste {
	if passes == 0 {
		return Waste{}
	}
	return Waste{w.Seq / passes, w.Past / passes}
}

func (w *Waste) add(o Waste) { w.Seq, w.Past = w.Seq+o.Seq, w.Past+o.Past }

// Cost is what a plan costs.
type Cost struct {
	FromOpt     Waste   `json:"from_opt"`     // of a pass, in the mean over the demand
	FromMax     Waste   `json:"from_max"`     // of a pass, in the mean over the demand
	MemoryBytes int64   `json:"memory_bytes"` // of all profiles at their maxima, without weights
	PlanBytes   int64   `json:"plan_bytes"`   // of weights that the plan stores again; 0 where they are not known
	Total       float64 `json:"total_tokens"` // a pass, by the prices
}

// Evaluate is what profiles cost for blocks that they serve, by prices.
// weights is the bytes of the model's weights; 0 = not known.
func Evaluate(c *contract.Contract, all []Profile, blocks []Shape, serving []int, prices Costs, weights int64) Cost {
	var cost Cost
	passes := 0.0
	for i, s := range blocks {
		if serving[i] < 0 {
			continue
		}
		opt, most := wasted(all[serving[i]], s)
		cost.FromOpt.add(opt)
		cost.FromMax.add(most)
		passes += s.Passes()
	}
	cost.FromOpt, cost.FromMax = cost.FromOpt.over(passes), cost.FromMax.over(passes)
	memory := 0.0
	for _, p := range all {
		memory += float64(Memory(c, p).Total())
	}
	cost.MemoryBytes = whole64(memory)
	if StoresTwice(all) {
		cost.PlanBytes = weights
	}
	tokens := func(w Waste) float64 { return w.Seq + prices.Past*w.Past }
	cost.Total = prices.Opt*tokens(cost.FromOpt) + prices.Max*tokens(cost.FromMax) + prices.Profile*float64(len(all)) +
		prices.GiB*(memory+float64(cost.PlanBytes))/(1<<30)
	return cost
}

// wasted is the tokens between each pass of a block and the optimum and maximum
// of its profile, summed over the passes.
func wasted(p Profile, s Shape) (opt, most Waste) {
	n := float64(s.batches()) * s.Count
	runs := float64(s.run())
	first, last := s.at(0, 0), s.Last()
	line := func(from, to, at int) float64 { // the sum of |x - at| over [from, to]
		if from == to {
			return float64(abs(from-at)) * runs
		}
		below, above := sumTo(at-from)-sumTo(at-to-1), sumTo(to-at)-sumTo(from-at-1)
		return below + above
	}
	opt = Waste{n * line(first.Seq, last.Seq, p.Seq.Opt), n * line(first.Past, last.Past, p.Past.Opt)}
	most = Waste{n * line(first.Seq, last.Seq, p.Seq.Max), n * line(first.Past, last.Past, p.Past.Max)}
	return opt, most
}

// sumTo is 1 + 2 + ... + n, and 0 for what is below 1.
func sumTo(n int) float64 {
	if n < 1 {
		return 0
	}
	return float64(n) * float64(n+1) / 2
}

func abs(n int) int { return max(n, -n) }

// StoresTwice tells whether a builder will store the weights a second time: a
// profile of one batch and one token beside another profile of that one batch and
// more tokens. TensorRT-RTX made 1,159 MB in place of 659 of GPT-2 in FP32 so, and
// 672 where the batch was 1 to 4: with every size of a matrix product known, it
// lays the weights out for a vector.
func StoresTwice(all []Profile) bool {
	vector, matrix := false, false
	for _, p := range all {
		switch {
		case p.Batch.Min != p.Batch.Max:
		case p.Seq.Max <= 1:
			vector = true
		default:
			matrix = true
		}
	}
	return vector && matrix
}
