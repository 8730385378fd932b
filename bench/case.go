package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/trtforge/trtforge/profiles"
)

// Request is the lengths of one request of a trace.
type Request struct {
	PromptTokens int `json:"prompt_tokens"`
	NewTokens    int `json:"new_tokens"`
}

// Case is a scenario and the way in which it is run. Its batch is 1 or more.
type Case struct {
	profiles.Scenario
	Mode  Mode `json:"mode,omitempty"`  // "" is Cached
	Chunk int  `json:"chunk,omitempty"` // Chunked: columns of the prompt a pass
	// Depth is the columns that are in the cache before the clock starts.
	Depth int `json:"depth,omitempty"`
	// Ragged gives the rows of a batch prompts of different length, from half of
	// PromptTokens up, padded on the left.
	Ragged bool `json:"ragged,omitempty"`
	// Requests are those of a trace: each repetition takes the next one, of these
	// lengths rather than the scenario's, which are the longest.
	Requests []Request `json:"requests,omitempty"`
}

// Check finds what no engine could run.
func (c Case) Check() error {
	switch {
	case c.Batch < 1 || c.PromptTokens < 1 || c.NewTokens < 1 || c.Depth < 0:
		return fmt.Errorf("case %s: batch %d, %d prompt and %d new tokens, depth %d: want 1 or more, and a depth of 0 or more",
			c.Name, c.Batch, c.PromptTokens, c.NewTokens, c.Depth)
	case c.mode() != Cached && c.mode() != Uncached && c.mode() != Chunked:
		return fmt.Errorf("case %s: mode %q is none of cached, uncached and chunked", c.Name, c.Mode)
	case (c.mode() == Chunked) != (c.Chunk > 0):
		return fmt.Errorf("case %s: mode %s with chunks of %d tokens", c.Name, c.mode(), c.Chunk)
	case c.mode() == Uncached && c.Depth > 0:
		return errors.New("case " + c.Name + ": a depth is the cache's, and an uncached run has none")
	case len(c.Requests) > 0 && (c.Ragged || c.Depth > 0):
		return errors.New("case " + c.Name + ": the requests of a trace have their own lengths, not a depth or ragged rows")
	}
	return nil
}

func (c Case) mode() Mode {
	if c.Mode == "" {
		return Cached
	}
	return c.Mode
}

// Key tells cases of one scenario apart.
func (c Case) Key() string {
	if c.mode() == Cached {
		return c.Name
	}
	return c.Name + " " + string(c.mode())
}

// Has tells whether a sample is one of the case.
func (c Case) Has(s Sample) bool { return s.Scenario == c.Name && s.Mode == c.mode() }

// Capacity is the columns that a decoder needs for it.
func (c Case) Capacity() int { return c.Depth + c.PromptTokens + c.NewTokens - 1 }

// columns are the pieces in which the prompt is taken; those of the depth come
// first and before the clock.
func (c Case) columns() (all []int, untimed int) {
	if c.Depth > 0 {
		all, untimed = append(all, c.Depth), 1
	}
	step := c.PromptTokens
	if c.mode() == Chunked {
		step = c.Chunk
	}
	for left := c.PromptTokens; left > 0; left -= step {
		all = append(all, min(step, left))
	}
	return all, untimed
}

// lengths are the tokens of each row's prompt after the depth; nil where all are
// PromptTokens. The first row is the longest, the last half as long, and each has
// a token in the first piece: padding stands there only.
func (c Case) lengths() []int {
	if !c.Ragged || c.Batch < 2 || c.Depth > 0 {
		return nil
	}
	columns, _ := c.columns()
	least := max((c.PromptTokens+1)/2, c.PromptTokens-columns[0]+1)
	all := make([]int, c.Batch)
	for b := range all {
		all[b] = c.PromptTokens - (c.PromptTokens-least)*b/(c.Batch-1)
	}
	return all
}

// At is the case of its i-th repetition.
func (c Case) At(i int) Case {
	if len(c.Requests) == 0 {
		return c
	}
	r := c.Requests[i%len(c.Requests)]
	c.PromptTokens, c.NewTokens, c.Requests = r.PromptTokens, r.NewTokens, nil
	return c
}

// sample is a sample of the case without figures.
func (c Case) sample() Sample {
	return Sample{Scenario: c.Name, Mode: c.mode(), Chunk: c.Chunk, Depth: c.Depth, Batch: c.Batch,
		PromptTokens: c.PromptTokens, Lengths: c.lengths(), NewTokens: c.NewTokens}
}

// Failed is the sample of a request that gave no time.
func (c Case) Failed(f *Failure) Sample {
	s := c.sample()
	s.Failure = f
	return s
}

// Prompts are the rows that a case submits, the depth's tokens in front:
// consecutive pieces of text (token ids), from its beginning again where it is
// short. Without text they are uniform over vocab, the same for the same seed. A
// text with tokens that the vocabulary lacks is an error.
func (c Case) Prompts(text []int64, vocab int, seed uint64) ([][]int64, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	if vocab < 1 && len(text) == 0 {
		return nil, errVocabulary("the contract does not say how many tokens the vocabulary has, and no text is given")
	}
	lengths, width := c.lengths(), c.Depth+c.PromptTokens
	rows := make([][]int64, c.Batch)
	for b := range rows {
		n := width
		if lengths != nil {
			n = lengths[b]
		}
		rows[b] = make([]int64, n)
		for i := range rows[b] {
			if len(text) == 0 {
				rows[b][i] = r.Int64N(int64(vocab))
				continue
			}
			id := text[(b*width+i)%len(text)]
			if rows[b][i] = id; id < 0 || vocab > 0 && id >= int64(vocab) {
				return nil, errVocabulary(fmt.Sprintf("the text has token %d, the engine's vocabulary %d tokens: it is another model's", id, vocab))
			}
		}
	}
	return rows, nil
}
