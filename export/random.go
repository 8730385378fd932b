package export

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/safetensors"
	"github.com/x448/float16"
)

// Shape is a GPT-2 of random weights. Zero fields take what a comment states.
type Shape struct {
	Layers, Width, Heads int64
	Vocab, Positions     int64
	Inner                int64 // width of the MLP; 4 * Width

	Activation   string  // gelu_new
	Epsilon      float64 // of LayerNorm; 1e-5
	Unscaled     bool    // attention scores are not divided by sqrt(head width)
	ScaleByLayer bool    // attention scores of layer i are divided by i + 1
	Untied       bool    // lm_head has weights of its own

	Type string  // F32 (the default), F16 or BF16
	Std  float64 // standard deviation of the weights; 0.02
}

// Random writes a checkpoint directory: config.json and model.safetensors.
// Values depend on seed, tensor name and position only, so a model can be made
// again anywhere; they are streamed. Projections are near normal, biases too
// and LayerNorm weights lie around 1, so no parameter is trivially right.
func Random(dir string, s Shape, seed uint64) error {
	s = s.defaults()
	cfg := s.config()
	if errs := cfg.contradictions(); len(errs) > 0 {
		return fault.New(fault.Usage, "generating", dir, errs[0].Error(), "choose another shape")
	}
	if activations[s.Activation] == "" {
		return fault.New(fault.Usage, "generating", dir, "activation "+s.Activation+" is not known", "use gelu_new, gelu, gelu_pytorch_tanh or relu")
	}
	if _, ok := elementType(s.Type); !ok {
		return fault.New(fault.Usage, "generating", dir, "type "+s.Type+" is not known", "use F32, F16 or BF16")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fsx.Explain("creating", dir, err)
	}
	var tensors []safetensors.Tensor
	for _, p := range cfg.parameters() {
		tensors = append(tensors, safetensors.Tensor{Name: p.name, Type: s.Type, Shape: p.dims, Write: s.fill(p, seed)})
	}
	err := fsx.WriteFile(filepath.Join(dir, single), func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
	if err != nil {
		return err
	}
	return fsx.WriteJSON(filepath.Join(dir, "config.json"), s.file())
}

func (s Shape) defaults() Shape {
	if s.Inner == 0 {
		s.Inner = 4 * s.Width
	}
	if s.Activation == "" {
		s.Activation = "gelu_new"
	}
	if s.Epsilon == 0 {
		s.Epsilon = 1e-5
	}
	if s.Type == "" {
		s.Type = "F32"
	}
	if s.Std == 0 {
		s.Std = 0.02
	}
	return s
}

func (s Shape) config() *config {
	return &config{
		Vocab: s.Vocab, Positions: s.Positions, Width: s.Width, Layers: s.Layers, Heads: s.Heads,
		Inner: &s.Inner, Epsilon: s.Epsilon, Tied: !s.Untied,
	}
}

// file is config.json as transformers reads it.
func (s Shape) file() map[string]any {
	return map[string]any{
		"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"},
		"vocab_size": s.Vocab, "n_positions": s.Positions, "n_embd": s.Width, "n_layer": s.Layers,
		"n_head": s.Heads, "n_inner": s.Inner, "activation_function": s.Activation,
		"layer_norm_epsilon": s.Epsilon, "scale_attn_weights": !s.Unscaled,
		"scale_attn_by_inverse_layer_idx": s.ScaleByLayer, "tie_word_embeddings": !s.Untied,
	}
}

// fill writes the values of one tensor.
func (s Shape) fill(p parameter, seed uint64) func(w io.Writer) error {
	mean := float32(0)
	if strings.Contains(p.name, ".ln_") && strings.HasSuffix(p.name, ".weight") {
		mean = 1
	}
	n := int64(1)
	for _, d := range p.dims {
		n *= d
	}
	// The sum of four uniform 16-bit numbers is near enough to normal and costs
	// one step of the generator.
	std := float32(s.Std / (65536 * math.Sqrt(4.0/12)))
	return func(w io.Writer) error {
		hash := fnv.New64a()
		_, _ = io.WriteString(hash, p.name) // never fails
		r := rand.NewPCG(seed, hash.Sum64())
		put, width := putter(s.Type)
		buf := make([]byte, min(chunk, n*int64(width)))
		for left := n; left > 0; {
			count := min(left, int64(len(buf)/width))
			for i := range int(count) {
				v := r.Uint64()
				sum := int32(v&0xFFFF) + int32(v>>16&0xFFFF) + int32(v>>32&0xFFFF) + int32(v>>48) - 2*65535
				put(buf[i*width:], mean+std*float32(sum))
			}
			if _, err := w.Write(buf[:int(count)*width]); err != nil {
				return err
			}
			left -= count
		}
		return nil
	}
}

// putter encodes one value of a safetensors type.
func putter(dtype string) (put func(b []byte, v float32), width int) {
	switch dtype {
	case "F16":
		return func(b []byte, v float32) { binary.LittleEndian.PutUint16(b, float16.Fromfloat32(v).Bits()) }, 2
	case "BF16":
		return func(b []byte, v float32) { binary.LittleEndian.PutUint16(b, uint16(math.Float32bits(v)>>16)) }, 2
	}
	return func(b []byte, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) }, 4
}
