package validate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Row is the reference for one scored token. In bundle.bin, little-endian:
// NLL, LSE, Tail as float32, then TopK ids of IDBytes each, then TopK
// log-probabilities as float32. Rows follow the order of the text.
type Row struct {
	NLL      float32   // -log p(token), nats
	LSE      float32   // log of the sum of exp(logit) over the vocabulary
	Tail     float32   // probability of all tokens outside IDs
	IDs      []uint32  // the most likely tokens; ties by the smaller id
	LogProbs []float32 // theirs, never increasing, nats
}

// decode reads a row from the front of raw.
func (h *Header) decode(raw []byte) Row {
	f := func(at int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(raw[at:])) }
	r := Row{NLL: f(0), LSE: f(4), Tail: f(8), IDs: make([]uint32, h.TopK), LogProbs: make([]float32, h.TopK)}
	at := 12
	for i := range r.IDs {
		if h.IDBytes == 2 {
			r.IDs[i] = uint32(binary.LittleEndian.Uint16(raw[at:]))
		} else {
			r.IDs[i] = binary.LittleEndian.Uint32(raw[at:])
		}
		at += h.IDBytes
	}
	for i := range r.LogProbs {
		r.LogProbs[i] = f(at)
		at += 4
	}
	return r
}

// encode appends a row to raw.
func (h *Header) encode(raw []byte, r Row) []byte {
	f := func(v float32) { raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v)) }
	f(r.NLL)
	f(r.LSE)
	f(r.Tail)
	for _, id := range r.IDs {
		if h.IDBytes == 2 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(id))
		} else {
			raw = binary.LittleEndian.AppendUint32(raw, id)
		}
	}
	for _, p := range r.LogProbs {
		f(p)
	}
	return raw
}

// checkRow finds what cannot be in a row of this header: PyTorch in FP32 gives
// finite logits, and probabilities add up to one.
func (h *Header) checkRow(r Row) error {
	if len(r.IDs) != h.TopK || len(r.LogProbs) != h.TopK {
		return fmt.Errorf("%d ids and %d log-probabilities, not %d", len(r.IDs), len(r.LogProbs), h.TopK)
	}
	if !finite(r.NLL) || !finite(r.LSE) || r.NLL < -roundoff {
		return fmt.Errorf("NLL %g, logsumexp %g", r.NLL, r.LSE)
	}
	sum := float64(r.Tail)
	for i, p := range r.LogProbs {
		if !finite(p) || p > roundoff || i > 0 && p > r.LogProbs[i-1] {
			return errors.New("log-probabilities are not finite, negative and falling")
		}
		if int64(r.IDs[i]) >= int64(h.Vocab) {
			return fmt.Errorf("token id %d in a vocabulary of %d", r.IDs[i], h.Vocab)
		}
		sum += math.Exp(float64(p))
	}
	if !(r.Tail >= 0 && math.Abs(sum-1) < 1e-3) {
		return fmt.Errorf("probabilities add up to %g, %g of it outside the %d most likely", sum, r.Tail, h.TopK)
	}
	return nil
}

// roundoff is how far above zero float32 may lift a log-probability.
const roundoff = 1e-5

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
