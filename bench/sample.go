package bench

// Mode is how a request is run.
type Mode string

// The modes.
const (
	Cached   Mode = "cached"   // the prompt in one pass, then token by token with the cache
	Uncached Mode = "uncached" // no cache: the whole sequence runs again for each token
	Chunked  Mode = "chunked"  // the prompt in pieces, each after the cache of those before it
)

// Sample is one request of a scenario, timed or failed. Times are in
// milliseconds.
type Sample struct {
	Engine       string `json:"engine"`
	Scenario     string `json:"scenario"`
	Mode         Mode   `json:"mode"`
	Chunk        int    `json:"chunk,omitempty"` // columns a pass of a chunked prompt
	Depth        int    `json:"depth,omitempty"` // columns in the cache before the clock starts
	Batch        int    `json:"batch"`
	PromptTokens int    `json:"prompt_tokens"`     // columns of the prompt after Depth, those of padding included
	Lengths      []int  `json:"lengths,omitempty"` // tokens of each row's prompt where they differ: rows are padded on the left
	NewTokens    int    `json:"new_tokens"`
	Round        int    `json:"round"` // which turn of the engine it belongs to, from 0

	TTFT float64   `json:"ttft_ms"`           // prompt submitted -> first token id on the host
	E2E  float64   `json:"e2e_ms"`            // prompt submitted -> last token id
	Gaps []float64 `json:"gaps_ms,omitempty"` // between one token id and the next, NewTokens-1 of them
	// Run is the part of E2E inside the engine's runs; 0 = not known. The rest is
	// the loop around it: feeding, choosing the token, reading the clock.
	Run float64 `json:"run_ms,omitempty"`

	Load         float64 `json:"load_ms,omitempty"`             // opening the engine, on the turn's first sample where it was opened for it
	PeakRSS      int64   `json:"peak_rss_bytes"`                // of the process, up to the end of this request
	DeviceMemory int64   `json:"device_memory_bytes,omitempty"` // of the process on the GPU, its peak in the turn
	Power        float64 `json:"power_w,omitempty"`             // of the GPU, mean of the turn
	Clock        float64 `json:"sm_clock_mhz,omitempty"`        // of the GPU, mean of the turn

	Warnings []string `json:"warnings,omitempty"` // doubts about the machine in this turn
	Failure  *Failure `json:"failure,omitempty"`  // where set, the times mean nothing
}

// TPOT is the time per output token after the first, (E2E - TTFT)/(n - 1), in
// milliseconds; 0 where there was only one.
func (s Sample) TPOT() float64 {
	if s.NewTokens < 2 {
		return 0
	}
	return (s.E2E - s.TTFT) / float64(s.NewTokens-1)
}

// Prompt is the tokens of all rows' prompts together, padding left out.
func (s Sample) Prompt() int {
	if len(s.Lengths) == 0 {
		return s.Batch * s.PromptTokens
	}
	sum := 0
	for _, n := range s.Lengths {
		sum += n
	}
	return sum
}

// Overhead is the share of E2E that is not the engine's, in [0, 1]; ok is false
// where nobody measured it.
func (s Sample) Overhead() (share float64, ok bool) {
	if s.Run <= 0 || s.E2E <= 0 {
		return 0, false
	}
	return max(0, s.E2E-s.Run) / s.E2E, true
}
