package export

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestConfigDefaultsAreThoseOfTransformers(t *testing.T) {
	c, err := parseConfig([]byte(`{"model_type": "gpt2"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Vocab != 50257 || c.Positions != 1024 || c.Width != 768 || c.Layers != 12 || c.Heads != 12 ||
		c.inner() != 3072 || c.Activation != "gelu_new" || c.Epsilon != 1e-5 || !c.Scale || c.ScaleByLayer || !c.Tied {
		t.Errorf("defaults are %+v", c)
	}
}

func TestConfigSynonyms(t *testing.T) {
	c, err := parseConfig([]byte(`{"model_type": "gpt2", "hidden_size": 64, "num_hidden_layers": 3,
		"num_attention_heads": 4, "max_position_embeddings": 99, "n_inner": 100}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Width != 64 || c.Layers != 3 || c.Heads != 4 || c.Positions != 99 || c.inner() != 100 {
		t.Errorf("got %+v", c)
	}
}

func TestScaleOfScores(t *testing.T) {
	for _, c := range []struct {
		scale, byLayer bool
		layer          int
		want           float64
	}{
		{true, false, 3, 0.125}, {true, true, 3, 0.125 / 4}, {false, true, 1, 0.5}, {false, false, 1, 1},
	} {
		cfg := &config{Width: 128, Heads: 2, Scale: c.scale, ScaleByLayer: c.byLayer}
		if got := cfg.scale(c.layer); math.Abs(float64(got)-c.want) > 1e-9 {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// Everything that is wrong is in one error, each by its name in the file.
func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name, json string
		want       []string
	}{
		{"not JSON", `{`, []string{"not the JSON of a GPT-2 config"}},
		{"a text for a number", `{"model_type":"gpt2","n_layer":"12"}`, []string{"n_layer"}},
		{"unsupported", `{"model_type":"llama","architectures":["LlamaForCausalLM"],"activation_function":"silu",
			"add_cross_attention":true,"is_encoder_decoder":true,"quantization_config":{"bits":4},"pruned_heads":{"0":[1]}}`,
			[]string{`model_type "llama"`, `architecture "LlamaForCausalLM"`, `activation_function "silu"`, "add_cross_attention",
				"is_encoder_decoder", "quantization_config", "pruned_heads"}},
		{"sizes", `{"model_type":"gpt2","n_layer":0,"n_embd":-1,"vocab_size":1000000000,"layer_norm_epsilon":-1}`,
			[]string{"n_layer is 0", "n_embd is -1", "vocab_size is 1000000000", "n_inner is -4", "layer_norm_epsilon"}},
		{"heads", `{"model_type":"gpt2","n_embd":10,"n_head":3}`, []string{"n_embd 10 is not a multiple of n_head 3"}},
		{"no type", `{}`, []string{`model_type ""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "config.json"), []byte(c.json))
			_, err := GPT2(dir, Options{})
			if fault.Classify(err) != fault.Input {
				t.Fatalf("got %v, want a fault of the input", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"gpt2","n_layer":2,"n_embd":8,"n_head":2,"vocab_size":10}`))
	f.Add([]byte(`{"model_type":"gpt2","n_inner":null,"n_head":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err == nil && (c.headDim() < 1 || c.inner() < 1) {
			t.Errorf("accepted %+v", c)
		}
	})
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
