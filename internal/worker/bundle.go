package worker

import (
	"context"

	"github.com/trtforge/trtforge/internal/progress"
)

// Caller runs jobs; *child.Child is one.
type Caller interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
}

// BundleRequest asks the reference worker for a bundle, the form that package
// validate reads.
type BundleRequest struct {
	Model      string  `json:"model"`      // a Hugging Face directory
	IDs        string  `json:"ids"`        // a file of validate.EncodeIDs, the whole text
	Convention string  `json:"convention"` // "hf-nonoverlap(512)"
	Out        string  `json:"out"`        // an existing, empty directory
	TopK       int     `json:"top_k"`      // most likely tokens kept; 0 = 64
	Threads    int     `json:"threads"`    // 0 = PyTorch's own choice
	Attention  string  `json:"attention"`  // "" = "eager"; "sdpa"
	Digests    Digests `json:"digests"`    // kept in the bundle
	CreatedBy  string  `json:"created_by"`
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
	if r.Attention == "" {
		r.Attention = "eager"
	}
	var result BundleResult
	err := c.Call(ctx, "bundle", r, &result, p)
	return result, err
}
