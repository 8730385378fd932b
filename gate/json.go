package gate

import (
	"encoding/json"
	"fmt"
	"math"
)

// number is a float64 whose NaN and infinities are strings in JSON, as in all of
// trtforge's files.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(fmt.Sprint(f))
	}
	return json.Marshal(float64(n))
}

func (n *number) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return json.Unmarshal(b, (*float64)(n))
	}
	known := map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)}
	f, ok := known[s]
	if !ok {
		return fmt.Errorf("%q is not a number", s)
	}
	*n = number(f)
	return nil
}

// plain is a Verdict without its methods.
type plain Verdict

// file is a Verdict in JSON.
type file struct {
	plain
	Limit number  `json:"limit"`
	Value *number `json:"value,omitempty"` // absent where nothing was evaluated
	Lo    *number `json:"lo,omitempty"`
	Hi    *number `json:"hi,omitempty"`
}

// MarshalJSON writes the value and its interval only where there are any.
func (v Verdict) MarshalJSON() ([]byte, error) {
	f := file{plain: plain(v), Limit: number(v.Limit)}
	if v.Status != NotEvaluated {
		f.Value, f.Lo, f.Hi = (*number)(&v.Value), (*number)(&v.Lo), (*number)(&v.Hi)
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Verdict) UnmarshalJSON(b []byte) error {
	f := file{}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("reading a verdict: %w", err)
	}
	*v = Verdict(f.plain)
	v.Limit = float64(f.Limit)
	for _, n := range []struct {
		to   *float64
		from *number
	}{{&v.Value, f.Value}, {&v.Lo, f.Lo}, {&v.Hi, f.Hi}} {
		if n.from != nil {
			*n.to = float64(*n.from)
		}
	}
	return nil
}
