package validate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Score is what an engine's logits came to, one entry a scored token, window
// after window. What compares is empty without a reference.
type Score struct {
	Phase      string     `json:"phase"` // prefill or decode
	Convention Convention `json:"convention"`
	Tokens     int        `json:"tokens"`    // of the text
	Windows    []int      `json:"windows"`   // which of the text's windows, by index
	NLL        Floats     `json:"nll"`       // nats; +Inf where the logits were not finite
	RefNLL     Floats     `json:"ref_nll"`   // the reference's
	KL         Singles    `json:"kl"`        // nats; a lower bound where TopK > 0, see divergence
	MaxDelta   Singles    `json:"max_delta"` // largest |difference of log-probability|, nats
	MaxLogit   Singles    `json:"max_logit"` // largest |difference of logits|
	DProb      Singles    `json:"dprob"`     // probability of the text's token, the engine's less the reference's
	Agree      []byte     `json:"agree"`     // Top1 and Top5
	TopK       int        `json:"top_k"`     // tokens a row that were compared; 0: all of them
	NonFinite  int        `json:"non_finite"`
	// Bad is the first row whose logits were not finite, as an index into NLL; -1: none.
	Bad int `json:"bad"`
	// RunMS of TotalMS are the runtime's own; the rest is feeding it, and scoring.
	RunMS   float64 `json:"run_ms,omitempty"`
	TotalMS float64 `json:"total_ms,omitempty"`
}

// MeanNLL is the mean over all scored tokens, weighted as the convention says,
// summed in order in float64.
func (s *Score) MeanNLL() float64 {
	sum, total := 0.0, 0.0
	for _, b := range s.blocks(s.NLL) {
		sum, total = sum+b.weight*b.sum, total+b.weight*float64(b.n)
	}
	return sum / total
}

// Perplexity is exp of MeanNLL.
func (s *Score) Perplexity() float64 { return math.Exp(s.MeanNLL()) }

// Reference tells whether the score was held against one.
func (s *Score) Reference() bool { return len(s.RefNLL) > 0 }

// check finds what cannot come from an Accumulator: scores cross a pipe.
func (s *Score) check() error {
	n, all := 0, s.Convention.Count(s.Tokens)
	for _, w := range s.Windows {
		if w < 0 || w >= all {
			return fmt.Errorf("window %d of %d", w, all)
		}
		n += s.Convention.Span(s.Tokens, w).Rows()
	}
	if n <= 0 || len(s.NLL) != n {
		return fmt.Errorf("%d scored tokens in %d windows of %s", len(s.NLL), len(s.Windows), s.Convention)
	}
	for _, v := range []int{len(s.RefNLL), len(s.KL), len(s.MaxDelta), len(s.MaxLogit), len(s.DProb), len(s.Agree)} {
		if s.Reference() && v != n {
			return fmt.Errorf("%d tokens were scored and %d compared with the reference", n, v)
		}
	}
	return nil
}

// Place is the window, by its index in the text, and the position in it of a scored
// token, an index into NLL.
func (s *Score) Place(token int) (window, position int) {
	for _, w := range s.Windows {
		span := s.Convention.Span(s.Tokens, w)
		if token < span.Rows() {
			return w, span.First + token
		}
		token -= span.Rows()
	}
	return -1, -1
}

// block is the sum of a figure over the scored tokens of a window.
type block struct {
	sum    float64
	n      int
	weight float64 // of each token in the perplexity
}

// blocks sums a figure window by window.
func (s *Score) blocks(values []float64) []block {
	all := make([]block, len(s.Windows))
	at := 0
	for i, w := range s.Windows {
		span := s.Convention.Span(s.Tokens, w)
		b := block{n: span.Rows(), weight: s.Convention.Weight(span)}
		for _, v := range values[at : at+b.n] {
			b.sum += v
		}
		all[i], at = b, at+b.n
	}
	return all
}

// Floats is a list of numbers that JSON carries as base64 of little-endian
// float64: exact, compact, and good for NaN and the infinities.
type Floats []float64

// MarshalJSON writes the base64 form.
func (f Floats) MarshalJSON() ([]byte, error) {
	raw := make([]byte, 0, 8*len(f))
	for _, v := range f {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

// UnmarshalJSON reads the base64 form.
func (f *Floats) UnmarshalJSON(text []byte) error {
	raw, err := unpack(text, 8)
	if err != nil {
		return err
	}
	*f = make(Floats, len(raw)/8)
	for i := range *f {
		(*f)[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return nil
}

// Singles is a list of numbers that need no more than float32, in which JSON
// carries them: half as much to send of each token.
type Singles []float64

// MarshalJSON writes the base64 form.
func (f Singles) MarshalJSON() ([]byte, error) {
	raw := make([]byte, 0, 4*len(f))
	for _, v := range f {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

// UnmarshalJSON reads the base64 form.
func (f *Singles) UnmarshalJSON(text []byte) error {
	raw, err := unpack(text, 4)
	if err != nil {
		return err
	}
	*f = make(Singles, len(raw)/4)
	for i := range *f {
		(*f)[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return nil
}

// unpack is the bytes of a list of numbers of that size.
func unpack(text []byte, size int) ([]byte, error) {
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	if len(raw)%size != 0 {
		return nil, fmt.Errorf("%d bytes are not a list of numbers of %d", len(raw), size)
	}
	return raw, nil
}
