package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// maxConfig bounds config.json, maxSize each number in it: far above any
// model, and small enough that products of three fit an int64.
const (
	maxConfig = 16 << 20
	maxSize   = 1 << 20
)

// config is what config.json says about the computation, with the names and
// defaults of transformers' GPT2Config. Fields that it does not list (dropout,
// generation, token ids) do not change the logits.
type config struct {
	ModelType     string   `json:"model_type"`
	Architectures []string `json:"architectures"`

	Vocab     int64  `json:"vocab_size"`
	Positions int64  `json:"n_positions"`
	Width     int64  `json:"n_embd"`
	Layers    int64  `json:"n_layer"`
	Heads     int64  `json:"n_head"`
	Inner     *int64 `json:"n_inner"`

	// The names that transformers accepts for the same.
	MaxPositions *int64 `json:"max_position_embeddings"`
	HiddenSize   *int64 `json:"hidden_size"`
	HiddenLayers *int64 `json:"num_hidden_layers"`
	NumHeads     *int64 `json:"num_attention_heads"`

	Activation     string  `json:"activation_function"`
	Epsilon        float64 `json:"layer_norm_epsilon"`
	Scale          bool    `json:"scale_attn_weights"`
	ScaleByLayer   bool    `json:"scale_attn_by_inverse_layer_idx"`
	Tied           bool    `json:"tie_word_embeddings"`
	CrossAttention bool    `json:"add_cross_attention"`
	EncoderDecoder bool    `json:"is_encoder_decoder"`

	// reorder_and_upcast_attn is about half precision: in float32 it is the
	// same formula, so either value is right.

	Quantization any            `json:"quantization_config"`
	PrunedHeads  map[string]any `json:"pruned_heads"`
}

// headDim is the width of one head.
func (c *config) headDim() int64 { return c.Width / c.Heads }

// inner is the width between the MLP's two projections.
func (c *config) inner() int64 {
	if c.Inner != nil {
		return *c.Inner
	}
	return 4 * c.Width
}

// scale is what attention scores of layer i are multiplied with.
// Source: GPT2Attention.__init__ in transformers' modeling_gpt2.py.
func (c *config) scale(i int) float32 {
	s := 1.0
	if c.Scale {
		s = 1 / math.Sqrt(float64(c.headDim()))
	}
	if c.ScaleByLayer {
		s /= float64(i + 1)
	}
	return float32(s)
}

// readConfig reads dir/config.json; everything that it cannot follow is in the
// error.
func readConfig(dir string) (*config, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readUpTo(path, maxConfig)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fault.Wrap(fault.Input, "reading", path, err, "export a GPT-2 language model (transformers' GPT2LMHeadModel)")
	}
	return c, nil
}

func parseConfig(data []byte) (*config, error) {
	c := &config{
		Vocab: 50257, Positions: 1024, Width: 768, Layers: 12, Heads: 12,
		Activation: "gelu_new", Epsilon: 1e-5, Scale: true, Tied: true,
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a GPT-2 config: %w", err)
	}
	for _, alias := range []struct{ to, from *int64 }{
		{&c.Positions, c.MaxPositions}, {&c.Width, c.HiddenSize}, {&c.Layers, c.HiddenLayers}, {&c.Heads, c.NumHeads},
	} {
		if alias.from != nil {
			*alias.to = *alias.from
		}
	}
	return c, errors.Join(append(c.unsupported(), c.contradictions()...)...)
}

// unsupported is what the model is that this package does not build.
func (c *config) unsupported() (errs []error) {
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format+" is not supported", args...))
		}
	}
	refuse(c.ModelType != "gpt2", "model_type %q", c.ModelType)
	for _, a := range c.Architectures {
		refuse(!slices.Contains([]string{"GPT2LMHeadModel", "GPT2Model"}, a), "architecture %q", a)
	}
	refuse(activations[c.Activation] == "", "activation_function %q", c.Activation)
	refuse(c.CrossAttention, "add_cross_attention")
	refuse(c.EncoderDecoder, "is_encoder_decoder")
	refuse(c.Quantization != nil, "quantization_config")
	refuse(len(c.PrunedHeads) > 0, "pruned_heads")
	return errs
}

// contradictions is what no model can be.
func (c *config) contradictions() (errs []error) {
	for _, size := range []struct {
		name  string
		value int64
	}{
		{"vocab_size", c.Vocab}, {"n_positions", c.Positions}, {"n_embd", c.Width}, {"n_layer", c.Layers},
		{"n_head", c.Heads}, {"n_inner", c.inner()},
	} {
		if size.value < 1 || size.value > maxSize {
			errs = append(errs, fmt.Errorf("%s is %d, not between 1 and %d", size.name, size.value, maxSize))
		}
	}
	if len(errs) == 0 && c.Width%c.Heads != 0 {
		errs = append(errs, fmt.Errorf("n_embd %d is not a multiple of n_head %d", c.Width, c.Heads))
	}
	if !(c.Epsilon >= 0 && c.Epsilon <= 1) {
		errs = append(errs, fmt.Errorf("layer_norm_epsilon is %v, not between 0 and 1", c.Epsilon))
	}
	return errs
}
