package gate

import (
	"encoding/json"
	"fmt"

	"github.com/trtforge/trtforge/rows"
)

// plain is a Verdict without its methods.
type plain Verdict

// file is a Verdict in JSON.
type file struct {
	plain
	Limit rows.Number  `json:"limit"`
	Value *rows.Number `json:"value,omitempty"` // absent where nothing was evaluated
	Lo    *rows.Number `json:"lo,omitempty"`
	Hi    *rows.Number `json:"hi,omitempty"`
}

// MarshalJSON writes the value and its interval only where there are any.
func (v Verdict) MarshalJSON() ([]byte, error) {
	f := file{plain: plain(v), Limit: rows.Number(v.Limit)}
	if v.Status != NotEvaluated {
		f.Value, f.Lo, f.Hi = (*rows.Number)(&v.Value), (*rows.Number)(&v.Lo), (*rows.Number)(&v.Hi)
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
		from *rows.Number
	}{{&v.Value, f.Value}, {&v.Lo, f.Lo}, {&v.Hi, f.Hi}} {
		if n.from != nil {
			*n.to = float64(*n.from)
		}
	}
	return nil
}
