package validate

import "math"

// LogSumExp is log(sum(exp(logits))) in float64 with the largest logit taken
// out first, and the index of that logit, the first of equals. A NaN or +Inf
// among the logits makes it NaN. Its relative error is below 1e-11.
func LogSumExp(logits []float32) (lse float64, top int) {
	top = largest(logits)
	most := float64(logits[top])
	return most + math.Log(sumExp(logits, most)), top
}

// logSumExp is LogSumExp, or what Use gave.
var logSumExp = LogSumExp

// Use makes this process score with another function that answers what LogSumExp does.
// Nothing may be scored meanwhile.
func Use(lse func(logits []float32) (lse float64, top int)) { logSumExp = lse }

// largest is the index of the largest value, the first of equals. A NaN in front
// stays the largest, others are passed over.
func largest(values []float32) int {
	best, at := values[0], 0
	for i := 0; i < len(values); {
		if n := i + 8; n <= len(values) && noneAbove((*[8]float32)(values[i:n]), best) {
			i = n
			continue
		}
		for end := min(i+8, len(values)); i < end; i++ {
			if values[i] > best {
				best, at = values[i], i
			}
		}
	}
	return at
}

// noneAbove tells whether no value of a block is above best: after the first few
// tokens hardly a block has one.
func noneAbove(v *[8]float32, best float32) bool {
	return !(v[0] > best || v[1] > best || v[2] > best || v[3] > best ||
		v[4] > best || v[5] > best || v[6] > best || v[7] > best)
}

// sumExp is the sum of exp(v - most). Four sums keep four additions in flight.
func sumExp(values []float32, most float64) float64 {
	var a, b, c, d float64
	most *= perE
	for ; len(values) >= 4; values = values[4:] {
		v := (*[4]float32)(values)
		a += power(float64(v[0])*perE - most)
		b += power(float64(v[1])*perE - most)
		c += power(float64(v[2])*perE - most)
		d += power(float64(v[3])*perE - most)
	}
	for _, v := range values {
		a += power(float64(v)*perE - most)
	}
	return (a + b) + (c + d)
}

// Constants of power.
const (
	stepBits = 11
	steps    = 1 << stepBits // to a factor of two
	perE     = steps / math.Ln2
	rounding = 3 << 51       // added to a small number, it leaves its nearest integer in the last bits
	vanishes = -1000 * steps // a power of less counts as 0: beside the largest term, which is 1
)

// powers are the bits of 2^(i/steps), less those of i where power adds them.
var powers = func() (p [steps]uint64) {
	for i := range p {
		p[i] = math.Float64bits(math.Exp2(float64(i)/steps)) - uint64(i)<<(52-stepBits)
	}
	return p
}()

// power is 2^(u/steps) for u <= 0, to 1e-12 of itself, without a call: with k the
// integer nearest to u, it is 2^(k/steps) exp(r ln2/steps) and |r| <= 1/2 so small
// that two terms of the series do. It runs once for each token of the vocabulary
// and scored token, where math.Exp would take a tenth of the engine's own time.
func power(u float64) float64 {
	if u < vanishes {
		return 0
	}
	t := u + rounding
	k := math.Float64bits(t)
	r := u - (t - rounding)
	// k's bits above those that index the table are the exponent.
	return math.Float64frombits(powers[k%steps]+k<<(52-stepBits)) * (1 + r*(1/perE+r*(1/perE*1/perE/2)))
}

// apart is how a row of logits differs from the reference's.
type apart struct {
	kl    float64 // KL(reference || logits), or its lower bound, nats
	delta float64 // largest |difference of log-probability|, nats
	logit float64 // largest |difference of logits|
	p     float64 // probability of the text's token by the reference
	agree byte    // top1 and top5
}

// The bits of apart.agree.
const (
	top1 byte = 1 << iota // the most likely token is the reference's
	top5                  // it is among the reference's five most likely
)

// divergence compares a row of logits with the reference for the same token.
//
// kl is a lower bound of KL(reference || logits) in nats. With P the reference,
// Q the softmax of the logits, T the reference's K most likely tokens, and p and
// q what P and Q give to all other tokens together:
//
//	kl = sum over T of P(i) (log P(i) - log Q(i)) + p (log p - log q)
//
// The last term is what the log-sum inequality leaves of all the others, so the
// bound is tight where the tail is small or keeps its shape. P is stored in
// float32, so equal rows give a value within about 1e-6 of zero, of either sign.
//
// delta is the largest |log P(i) - log Q(i)| over T.
func divergence(ref Row, logits []float32, lse float64) (d apart) {
	rest := 1.0 // what Q leaves outside of T
	for i, id := range ref.IDs {
		logP, logQ := float64(ref.LogProbs[i]), float64(logits[id])-lse
		d.kl += math.Exp(logP) * (logP - logQ)
		d.delta = math.Max(d.delta, math.Abs(logP-logQ))
		d.logit = math.Max(d.logit, math.Abs(logP+float64(ref.LSE)-float64(logits[id])))
		rest -= math.Exp(logQ)
	}
	if p := float64(ref.Tail); p > 0 && len(ref.IDs) < len(logits) {
		// Cancellation may leave nothing of a tiny tail; float64 says no more than 2^-52 of it.
		d.kl += p * (math.Log(p) - math.Log(math.Max(rest, 0x1p-52)))
	}
	d.p = math.Exp(-float64(ref.NLL))
	return d
}

// agreement says how the most likely token stands in the reference's row.
func agreement(ref Row, top int) (bits byte) {
	for i, id := range ref.IDs {
		if int(id) == top && i < 5 {
			bits |= top5
			if i == 0 {
				bits |= top1
			}
		}
	}
	return bits
}

// whole compares a row of logits y with the reference's logits z over all tokens.
// With p the reference's probabilities,
//
//	KL = sum p (z - y) + lse(y) - lse(z)
//
// which loses nothing to cancellation where the two are close. refLSE is lse(z).
func whole(z, y []float32, lse float64, top int) (d apart, refLSE float64, refTop int) {
	refTop = largest(z)
	most := float64(z[refTop])
	var sum, weighted float64
	least, greatest, above := math.Inf(1), math.Inf(-1), 0
	y = y[:len(z)]
	for i, v := range z {
		e := power((float64(v) - most) * perE)
		gap := float64(v) - float64(y[i])
		sum += e
		if e > 0 { // a masked token's logits are -Inf, whose difference is no number
			weighted += e * gap
			least, greatest = math.Min(least, gap), math.Max(greatest, gap)
		}
		if v > z[top] {
			above++
		}
	}
	refLSE = most + math.Log(sum)
	shift := refLSE - lse
	d.kl = weighted/sum - shift
	d.delta = math.Max(math.Abs(least-shift), math.Abs(greatest-shift))
	d.logit = math.Max(math.Abs(least), math.Abs(greatest))
	if above < 5 {
		d.agree |= top5
	}
	if top == refTop {
		d.agree |= top1
	}
	return d, refLSE, refTop
}
