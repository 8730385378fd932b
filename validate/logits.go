package validate

import "math"

// LogSumExp is log(sum(exp(logits))) in float64 with the largest logit taken
// out first, and the index of that logit, the first of equals. A NaN or +Inf
// among the logits makes it NaN.
func LogSumExp(logits []float32) (lse float64, top int) {
	for i, v := range logits {
		if v > logits[top] {
			top = i
		}
	}
	largest := float64(logits[top])
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	return largest + math.Log(sum), top
}

// Divergence compares a row of logits with the reference for the same token.
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
func Divergence(ref Row, logits []float32, lse float64) (kl, delta float64) {
	rest := 1.0 // what Q leaves outside of T
	for i, id := range ref.IDs {
		logP, logQ := float64(ref.LogProbs[i]), float64(logits[id])-lse
		kl += math.Exp(logP) * (logP - logQ)
		delta = math.Max(delta, math.Abs(logP-logQ))
		rest -= math.Exp(logQ)
	}
	if p := float64(ref.Tail); p > 0 && len(ref.IDs) < len(logits) {
		// Cancellation may leave nothing of a tiny tail; float64 says no more than 2^-52 of it.
		kl += p * (math.Log(p) - math.Log(math.Max(rest, 0x1p-52)))
	}
	return kl, delta
}
