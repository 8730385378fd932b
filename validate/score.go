package validate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Score is what an engine's logits came to, one entry a scored token, window
// after window. KL, MaxDelta and Agree are empty without a reference.
type Score struct {
	Phase      string     `json:"phase"` // prefill or decode
	Convention Convention `json:"convention"`
	Windows    []int      `json:"windows"`   // which of the text's windows, by index
	NLL        Floats     `json:"nll"`       // nats; +Inf where the logits were not finite
	KL         Floats     `json:"kl"`        // nats, lower bound from the bundle's K tokens, see Divergence
	MaxDelta   Floats     `json:"max_delta"` // largest |difference of log-probability| over those K, nats
	Agree      []byte     `json:"agree"`     // 1 where the most likely token is the reference's
	NonFinite  int        `json:"non_finite"`
}

// MeanNLL is the mean over all scored tokens, summed in order in float64.
func (s *Score) MeanNLL() float64 { return mean(s.NLL) }

// Perplexity is exp of MeanNLL.
func (s *Score) Perplexity() float64 { return math.Exp(s.MeanNLL()) }

// check finds what cannot come from an Accumulator: scores cross a pipe.
func (s *Score) check(reference bool) error {
	n := len(s.Windows) * (s.Convention.Length - 1)
	if n <= 0 || len(s.NLL) != n {
		return fmt.Errorf("%d scored tokens in %d windows of %s", len(s.NLL), len(s.Windows), s.Convention)
	}
	if reference && (len(s.KL) != n || len(s.MaxDelta) != n || len(s.Agree) != n) {
		return fmt.Errorf("%d tokens were scored and %d, %d, %d compared with the reference", n, len(s.KL), len(s.MaxDelta), len(s.Agree))
	}
	return nil
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
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
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	if len(raw)%8 != 0 {
		return fmt.Errorf("%d bytes are not a list of float64", len(raw))
	}
	*f = make(Floats, len(raw)/8)
	for i := range *f {
		(*f)[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return nil
}
