package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/broken"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

const tinyPipeline = `[model]
path = "model"
[[workload.scenario]]
name = "short"
batch = 1
prompt_tokens = 6
new_tokens = 3
[[workload.scenario]]
name = "batch"
batch = 2
prompt_tokens = 9
new_tokens = 2
[text]
calibrate = "calibrate.txt"
evaluate = "evaluate.txt"
window = 32
samples = 8
[profiles]
strategy = "phase"
[[engine]]
backend = "ortcpu"
precision = "fp32"
[[engine]]
backend = "ortcpu"
precision = "fp16"
[[engine]]
backend = "ortcpu"
precision = "int8"
[gate.int8]
ppl_ratio_max = 1.1
[reference]
bundle = "reference"
[run]
repetitions = 3
[output]
dir = "out"
`

const tinyVocabulary, tinyWindow = 2048, 32

// writeTiny makes a pipeline that runs in seconds: random weights, the demo's
// tokenizer, two pieces of its evaluation text.
func writeTiny(dir, demoModel string, text []byte) error {
	model := filepath.Join(dir, "model")
	shape := export.Shape{Layers: 2, Width: 32, Heads: 2, Vocab: tinyVocabulary, Positions: 64}
	if err := export.Random(model, shape, 1); err != nil {
		return err
	}
	tokenizer, err := os.ReadFile(filepath.Join(demoModel, "tokenizer.json"))
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(model, "tokenizer.json"), tokenizer, 0o644),
		os.WriteFile(filepath.Join(dir, "calibrate.txt"), text[:4000], 0o644),
		os.WriteFile(filepath.Join(dir, "evaluate.txt"), text[6000:8000], 0o644),
		os.WriteFile(filepath.Join(dir, "pipeline.toml"), []byte(tinyPipeline), 0o644),
	)
}

// writeBundle records, for the pipeline in dir, a reference to which all tokens
// are equally likely. A model of small random weights is very near to that.
func writeBundle(dir string) error {
	model, evaluate := filepath.Join(dir, "model"), filepath.Join(dir, "evaluate.txt")
	tokenizer, err := bpe.Load(model)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(evaluate)
	if err != nil {
		return err
	}
	ids, err := tokenizer.Encode(string(text))
	if err != nil {
		return err
	}
	h := validate.Header{
		CreatedBy: "test", Convention: validate.Convention{Name: validate.HFNonOverlap, Length: tinyWindow},
		Tokens: len(ids), Windows: len(ids) / tinyWindow, Vocab: tinyVocabulary, TopK: 1,
	}
	h.Rows = h.Windows * (tinyWindow - 1)
	var errs [3]error
	h.Digests.Model, errs[0] = validate.ModelDigest(model)
	h.Digests.Text, errs[1] = fsx.Digest(evaluate)
	h.Digests.Tokenizer, errs[2] = validate.FilesDigest(bpe.Files(model)...)
	h.Digests.IDs = validate.IDsDigest(ids)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	out := filepath.Join(dir, "reference")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	row := uniformRow()
	return validate.Write(out, h, func() (validate.Row, error) { return row, nil })
}

// breakages are the ways to spoil a checkpoint.
var breakages = map[string]func(dir string) error{
	"truncate": func(dir string) error {
		path := filepath.Join(dir, "model.safetensors")
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	},
	"nan":   func(dir string) error { return endInNaN(filepath.Join(dir, "model.safetensors")) },
	"data":  func(dir string) error { return endInNaN(filepath.Join(dir, "model.onnx.data")) }, // of a graph
	"cache": func(dir string) error { return rewrite(dir, func(m *onnx.Model) error { broken.Cache(m); return nil }) },
	"positions": func(dir string) error {
		return rewrite(dir, func(m *onnx.Model) error { broken.Positions(m); return nil })
	},
	"mask": func(dir string) error { return rewrite(dir, func(m *onnx.Model) error { broken.Mask(m); return nil }) },
	"bias": func(dir string) error {
		return rewrite(dir, func(m *onnx.Model) error {
			return broken.Value(m, "transformer.h.2.mlp.c_fc.bias", 5, func(float32) float32 { return float32(math.NaN()) })
		})
	},
	"scale":      func(dir string) error { return rewrite(dir, doubleScale) },
	"width":      func(dir string) error { return editConfig(dir, "n_embd", 48) },
	"vocabulary": func(dir string) error { return editConfig(dir, "vocab_size", 1000) },
	"activation": func(dir string) error { return editConfig(dir, "activation_function", "swish") },
	"shard": func(dir string) error {
		index := `{"weight_map": {"transformer.wte.weight": "model-00001-of-00002.safetensors", "transformer.wpe.weight": "model-00002-of-00002.safetensors"}}`
		return errors.Join(
			os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "model-00001-of-00002.safetensors")),
			os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(index), 0o644),
		)
	},
}

// rewrite changes the graph in dir.
func rewrite(dir string, change func(*onnx.Model) error) error {
	path := filepath.Join(dir, "model.onnx")
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	if err := change(m); err != nil {
		return errors.Join(err, m.Close())
	}
	// The weights are read while they are written: into another directory.
	into := dir + ".new"
	err = errors.Join(os.MkdirAll(into, 0o755), onnx.Save(m, filepath.Join(into, "model.onnx"), onnx.SaveOptions{}), m.Close())
	if err != nil {
		return err
	}
	for _, name := range []string{"model.onnx", "model.onnx.data"} {
		if err := os.Rename(filepath.Join(into, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.RemoveAll(into)
}

// doubleScale doubles the scale of the activation that is rounded in the middle.
func doubleScale(m *onnx.Model) error {
	quantizers, _, err := validate.Quantized(m)
	if err != nil {
		return err
	}
	return broken.Value(m, quantizers[len(quantizers)/2].Tensor+"/scale", 0, func(v float32) float32 { return 2 * v })
}

// endInNaN makes a file's last float32 a NaN.
func endInNaN(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[len(b)-4:], math.Float32bits(float32(math.NaN())))
	return os.WriteFile(path, b, 0o644)
}

func spoil(kind, dir string) error {
	f := breakages[kind]
	if f == nil {
		return fmt.Errorf("no breakage %q", kind)
	}
	return f(dir)
}

func editConfig(dir, key string, value any) error {
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config := map[string]any{}
	if err := json.Unmarshal(b, &config); err != nil {
		return err
	}
	if _, ok := config[key]; !ok {
		return fmt.Errorf("%s has no %s", path, strings.TrimSpace(key))
	}
	config[key] = value
	b, err = json.Marshal(config)
	return errors.Join(err, os.WriteFile(path, b, 0o644))
}

// uniformRow is a scored token of a model that knows nothing.
func uniformRow() validate.Row {
	nll := float32(math.Log(tinyVocabulary))
	return validate.Row{NLL: nll, LSE: nll, Tail: 1 - 1.0/tinyVocabulary, IDs: []uint32{0}, LogProbs: []float32{-nll}}
}
