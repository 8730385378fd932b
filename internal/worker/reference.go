package worker

import (
	"context"

	"github.com/trtforge/trtforge/internal/progress"
)

// Caller runs jobs; *child.Child is one.
type Caller interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
}

// Scored says what PyTorch scores: every job of the reference but Tokenize has it.
type Scored struct {
	Model      string `json:"model"`      // a Hugging Face directory
	IDs        string `json:"ids"`        // a file of validate.EncodeIDs, the whole text
	Convention string `json:"convention"` // "hf-nonoverlap(512)"
	Threads    int    `json:"threads"`    // 0 = PyTorch's own choice
	Attention  string `json:"attention"`  // "" = "eager"; "sdpa"
}

func (s *Scored) fill() {
	if s.Attention == "" {
		s.Attention = "eager"
	}
}

// BundleRequest asks the reference worker for a bundle, the form that package
// validate reads.
type BundleRequest struct {
	Scored
	Out       string  `json:"out"`     // an existing, empty directory
	TopK      int     `json:"top_k"`   // most likely tokens kept; 0 = 64
	Digests   Digests `json:"digests"` // kept in the bundle
	CreatedBy string  `json:"created_by"`
	Greedy    *Greedy `json:"greedy,omitempty"` // continuations to record, too
}

// Greedy asks for greedy continuations of stretches spread over the text. Where the
// model has fewer positions they are shorter.
type Greedy struct {
	Prompts      int `json:"prompts"`
	PromptTokens int `json:"prompt_tokens"`
	NewTokens    int `json:"new_tokens"`
}

// Digests is validate.Digests, which a value of this type converts from; this
// package lies below validate.
type Digests struct {
	Model     string `json:"model"`
	Text      string `json:"text"`
	Tokenizer string `json:"tokenizer"`
	IDs       string `json:"ids"`
}

// BundleResult is what the reference came to.
type BundleResult struct {
	Perplexity float64           `json:"perplexity"`
	Rows       int               `json:"rows"`
	Windows    int               `json:"windows"`
	Versions   map[string]string `json:"versions"`
}

// Bundle has PyTorch score a text in FP32 and write bundle.json and bundle.bin
// into r.Out. progress counts windows.
func Bundle(ctx context.Context, c Caller, r BundleRequest, p progress.Counter) (BundleResult, error) {
	if r.TopK == 0 {
		r.TopK = 64
	}
	r.fill()
	var result BundleResult
	err := c.Call(ctx, "bundle", r, &result, p)
	return result, err
}

// StreamRequest asks for the logits themselves, through a FIFO.
type StreamRequest struct {
	Scored
	Pipe   string  `json:"pipe"`   // of a reader that makes its own rows in the same order
	Groups [][]int `json:"groups"` // windows that the reader runs together
	Prompt int     `json:"prompt"` // tokens that its decoder is given at once; 0: whole windows
}

// Stream has PyTorch write float32 logits, row after row: of a group the rows of
// what the reader is given at once, window after window, then position after
// position those of each window.
func Stream(ctx context.Context, c Caller, r StreamRequest, p progress.Counter) error {
	r.fill()
	return c.Call(ctx, "stream", r, nil, p)
}

// NoiseRequest asks how far PyTorch in another type is from itself in FP32.
type NoiseRequest struct {
	Scored
	DType string `json:"dtype"` // "bfloat16", as torch calls it
}

// Noise decodes the answer, a validate.Score in JSON, into score.
func Noise(ctx context.Context, c Caller, r NoiseRequest, score any, p progress.Counter) error {
	r.fill()
	return c.Call(ctx, "noise", r, score, p)
}

// Tokenize has the model's own tokenizer, of whatever kind, encode a file of text
// into out, a file of validate.EncodeIDs that is not there yet.
func Tokenize(ctx context.Context, c Caller, model, text, out string, p progress.Counter) error {
	return c.Call(ctx, "tokenize", map[string]string{"model": model, "text": text, "out": out}, nil, p)
}
