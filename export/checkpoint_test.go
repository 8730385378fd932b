package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/safetensors"
)

// tiny is the smallest model that has everything.
var tiny = Shape{Layers: 2, Width: 8, Heads: 2, Vocab: 40, Positions: 16, Std: 0.1}

// checkpointOf makes a checkpoint in a new directory.
func checkpointOf(t *testing.T, s Shape) string {
	t.Helper()
	dir := t.TempDir()
	if err := Random(dir, s, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tensorsOf reads the checkpoint's only file into memory.
func tensorsOf(t *testing.T, dir string) []safetensors.Tensor {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, single))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []safetensors.Tensor
	for _, info := range f.Tensors() {
		data := make([]byte, info.Length)
		if _, err := f.ReadAt(data, info.Offset); err != nil {
			t.Fatal(err)
		}
		all = append(all, inMemory(info.Name, info.Type, data, info.Shape...))
	}
	return all
}

func inMemory(name, dtype string, data []byte, shape ...int64) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Type: dtype, Shape: shape, Write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

func writeTensors(t *testing.T, path string, tensors []safetensors.Tensor) {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	write(t, path, b.Bytes())
}

// shard splits the checkpoint into n files with an index and removes its file.
func shard(t *testing.T, dir string, n int) {
	t.Helper()
	tensors := tensorsOf(t, dir)
	index := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
		part := tensors[i*len(tensors)/n : (i+1)*len(tensors)/n]
		for _, x := range part {
			index[x.Name] = name
		}
		writeTensors(t, filepath.Join(dir, name), part)
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, indexFile), text)
	if err := os.Remove(filepath.Join(dir, single)); err != nil {
		t.Fatal(err)
	}
}

// floats are all weights of the exported model.
func floats(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	m, err := GPT2(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	all := map[string][]float32{}
	err = m.Weights(func(w *onnx.Weight) error {
		if w.Type == onnx.Float32 {
			all[w.Name], err = w.Float32s()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func compareFloats(t *testing.T, got, want map[string][]float32, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d weights, want %d", len(got), len(want))
	}
	for name, values := range want {
		for i, v := range values {
			if d := math.Abs(float64(got[name][i] - v)); d > relative*(math.Abs(float64(v))+1e-4) {
				t.Fatalf("%s[%d] is %v, want %v", name, i, got[name][i], v)
			}
		}
	}
}

// The same weights, whatever their packing: sharded, without the prefix, with
// the buffers of old checkpoints, with a copy of the tied head.
func TestPackings(t *testing.T) {
	want := floats(t, checkpointOf(t, tiny))
	for name, repack := range map[string]func(dir string){
		"sharded": func(dir string) { shard(t, dir, 3) },
		"no prefix, buffers, head": func(dir string) {
			tensors := tensorsOf(t, dir)
			for i := range tensors {
				if tensors[i].Name == embedName {
					head := tensors[i]
					head.Name = headName
					tensors = append(tensors, head)
				}
				tensors[i].Name = strings.TrimPrefix(tensors[i].Name, prefix)
			}
			tensors = append(tensors, inMemory("h.0.attn.bias", "U8", make([]byte, 4), 1, 1, 2, 2),
				inMemory("h.1.attn.masked_bias", "F32", make([]byte, 4)))
			writeTensors(t, filepath.Join(dir, single), tensors)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := checkpointOf(t, tiny)
			repack(dir)
			compareFloats(t, floats(t, dir), want, 0)
		})
	}
}

func TestHalfPrecisionCheckpoints(t *testing.T) {
	want := floats(t, checkpointOf(t, tiny))
	for dtype, relative := range map[string]float64{"F16": 1.0 / 2048, "BF16": 1.0 / 128} {
		s := tiny
		s.Type = dtype
		compareFloats(t, floats(t, checkpointOf(t, s)), want, relative)
	}
}

func TestCheckpointRefuses(t *testing.T) {
	edit := func(change func(x *safetensors.Tensor) bool) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			var kept []safetensors.Tensor
			for _, x := range tensorsOf(t, dir) {
				if change(&x) {
					kept = append(kept, x)
				}
			}
			writeTensors(t, filepath.Join(dir, single), kept)
		}
	}
	const bias = prefix + "h.1.mlp.c_fc.bias"
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  []string
	}{
		{"several", edit(func(x *safetensors.Tensor) bool {
			switch x.Name {
			case bias:
				*x = inMemory(x.Name, "F32", make([]byte, 12), 3)
			case prefix + "ln_f.bias":
				*x = inMemory(x.Name, "I32", make([]byte, 32), 8)
			case prefix + "wpe.weight":
				x.Name = prefix + "wpe.other"
			}
			return x.Name != prefix+"h.0.ln_1.weight"
		}), []string{
			"tensor " + bias + " has shape [3], config.json implies [32]", "ln_f.bias is of type I32",
			"tensor transformer.h.0.ln_1.weight is missing", "wpe.weight is missing", "wpe.other has no place",
		}},
		{"other head", func(t *testing.T, dir string) {
			head := inMemory(headName, "F32", make([]byte, 4*40*8), 40, 8)
			writeTensors(t, filepath.Join(dir, single), append(tensorsOf(t, dir), head))
		}, []string{"tie_word_embeddings is set", "differ"}},
		{"twice", func(t *testing.T, dir string) {
			again := inMemory("ln_f.bias", "F32", make([]byte, 32), 8)
			writeTensors(t, filepath.Join(dir, single), append(tensorsOf(t, dir), again))
		}, []string{"transformer.ln_f.bias occurs twice"}},
		{"other model", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.json"), []byte(`{"model_type":"gpt2"}`))
		}, []string{"shape [40 8], config.json implies [50257 768]", "and 1"}},
		{"truncated", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, single), 2000); err != nil {
				t.Fatal(err)
			}
		}, []string{single, "truncated"}},
		{"nothing", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, single)); err != nil {
				t.Fatal(err)
			}
		}, []string{"neither model.safetensors nor model.safetensors.index.json"}},
		{"no config", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"config.json"}},
		{"shards missing", func(t *testing.T, dir string) {
			shard(t, dir, 3)
			for _, i := range []int{1, 3} {
				if err := os.Remove(filepath.Join(dir, fmt.Sprintf("model-0000%d-of-00003.safetensors", i))); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"model-00001-of-00003", "model-00003-of-00003"}},
		{"index of elsewhere", func(t *testing.T, dir string) {
			shard(t, dir, 1)
			write(t, filepath.Join(dir, indexFile), []byte(`{"weight_map":{"a":"../x.safetensors","b":"model-00001-of-00001.safetensors"}}`))
		}, []string{`"../x.safetensors" is not a file of the same directory`, "tensor b is not in it"}},
		{"empty index", func(t *testing.T, dir string) {
			shard(t, dir, 1)
			write(t, filepath.Join(dir, indexFile), []byte(`{}`))
		}, []string{"weight_map is empty"}},
		{"tokenizers", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "vocab.json"), []byte(`{"a":0,"b":40}`))
			write(t, filepath.Join(dir, "tokenizer.json"), []byte(`{"added_tokens":[{"id":41}],"model":{"vocab":{"a":0}}}`))
		}, []string{"vocab.json: it has a token with id 40, but vocab_size", "id 41"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := checkpointOf(t, tiny)
			c.spoil(t, dir)
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

// nan spoils one value of a checkpoint.
func nan(t *testing.T, dir, tensor string, element int, bits uint32) {
	t.Helper()
	path := filepath.Join(dir, single)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, ok := f.Tensor(tensor)
	if !ok || f.Close() != nil {
		t.Fatalf("no tensor %s", tensor)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(data[info.Offset+int64(4*element):], bits)
	write(t, path, data)
}
