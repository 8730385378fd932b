package contract

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

func load(t *testing.T, name string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(filepath.Join("testdata", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// facts are what the script that made a fixture knows about it.
type facts struct {
	inputs, layers, heads, headDim, vocab, positions int
	logits                                           string
}

func factsOf(c *Contract) facts {
	return facts{len(c.Inputs), c.Layers, c.Heads, c.HeadDim, c.Vocab, c.MaxPositions, c.Logits}
}

func TestRealExports(t *testing.T) {
	for name, want := range map[string]facts{
		"gpt2":               {7, 2, 4, 4, 48, 40, "all"},
		"gpt2-past-names":    {5, 1, 4, 4, 48, 40, "all"},
		"gpt2-genai-symbols": {5, 1, 4, 4, 48, 40, "all"},
		"gpt2-dynamo":        {7, 2, 4, 4, 48, 40, "all"},
		"gpt2-first":         {3, 0, 4, 4, 48, 40, "all"}, // gives a cache and takes none
		"gpt2-first-nopos":   {2, 0, 4, 4, 48, 40, "all"}, // makes its own positions
		"llama":              {7, 2, 2, 4, 48, 0, "all"},  // computes rotations: no limit stated
		"qwen2":              {7, 2, 1, 4, 48, 0, "all"},
		"neox":               {7, 2, 4, 4, 48, 0, "all"},
		"opt":                {6, 2, 4, 4, 48, 40, "all"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Infer(load(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := factsOf(c); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			shapes(t, c)
		})
	}
}

// shapes holds every tensor's shape against the definition of its kind.
func shapes(t *testing.T, c *Contract) {
	t.Helper()
	past := int64(5)
	if !c.Cached() {
		past = 0
	}
	kv := func(length int64) []int64 { return []int64{2, int64(c.Heads), length, int64(c.HeadDim)} }
	want := map[Kind][]int64{
		KindIDs: {2, 3}, KindPositions: {2, 3}, KindMask: {2, past + 3}, KindLogits: {2, 3, int64(c.Vocab)},
		KindPastKey: kv(past), KindPastValue: kv(past), KindPresentKey: kv(past + 3), KindPresentValue: kv(past + 3),
	}
	for _, tensor := range append(append([]Tensor{}, c.Inputs...), c.Outputs...) {
		if d := cmp.Diff(want[tensor.Kind], c.Shape(tensor, 2, 3, past)); d != "" {
			t.Errorf("%s: %s", tensor.Name, d)
		}
	}
}

func TestOwnExport(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 3, Width: 32, Heads: 4, Vocab: 96, Positions: 24}, 1); err != nil {
		t.Fatal(err)
	}
	for _, logits := range []export.Logits{export.All, export.Last} {
		m, err := export.GPT2(dir, export.Options{Logits: logits})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Infer(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := factsOf(c), (facts{9, 3, 4, 8, 96, 24, string(logits)}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func value(m *onnx.Model, name string) *onnxpb.ValueInfoProto {
	for _, v := range append(append([]*onnxpb.ValueInfoProto{}, m.Graph().Input...), m.Graph().Output...) {
		if v.GetName() == name {
			return v
		}
	}
	panic("no " + name)
}

func dim(m *onnx.Model, name string, i int) *onnxpb.TensorShapeProto_Dimension {
	return value(m, name).GetType().GetTensorType().GetShape().GetDim()[i]
}

func call(m *onnx.Model, name string, i int, symbol string) {
	dim(m, name, i).Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: symbol}
}

func fix(m *onnx.Model, name string, i int, size int64) {
	dim(m, name, i).Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}
}

func unname(m *onnx.Model) {
	for _, v := range append(append([]*onnxpb.ValueInfoProto{}, m.Graph().Input...), m.Graph().Output...) {
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			if d.GetDimParam() != "" {
				d.Value = nil
			}
		}
	}
}

func state(m *onnx.Model, key, value string) {
	m.Proto.MetadataProps = append(m.Proto.MetadataProps, &onnxpb.StringStringEntryProto{Key: key, Value: value})
}

// One thing wrong is asked for by name; nothing is guessed.
func TestWhatCannotBeInferred(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *onnx.Model)
		want   []string // all of them in one error
	}{
		"ids and a layer renamed": {func(m *onnx.Model) { value(m, "input_ids").Name = "x"; value(m, "past_key_values.1.value").Name = "y" }, []string{"input_ids", "past_value for layer 1", "past_key_values.1.value"}},
		"two roles in one name":   {func(m *onnx.Model) { call(m, "attention_mask", 1, "sequence_length") }, []string{"attention_mask: dimension 1", `"sequence_length"`, "total"}},
		"a name of another role":  {func(m *onnx.Model) { call(m, "position_ids", 1, "batch") }, []string{"position_ids: dimension 1", "seq"}},
		"swapped":                 {func(m *onnx.Model) { call(m, "input_ids", 0, "sequence_length"); call(m, "input_ids", 1, "batch_size") }, []string{"input_ids: dimension 0", "input_ids: dimension 1"}},
		"a sum of something else": {func(m *onnx.Model) { call(m, "attention_mask", 1, "past_sequence_length + 1") }, []string{`"past_sequence_length + 1"`, "sum"}},
		"heads that differ":       {func(m *onnx.Model) { fix(m, "present.1.value", 1, 2) }, []string{"present.1.value: 2 heads of 4"}},
		"a rank": {func(m *onnx.Model) {
			d := value(m, "attention_mask").GetType().GetTensorType().Shape
			d.Dim = append(d.Dim, d.Dim[0])
		}, []string{"attention_mask: it has 3 dimensions"}},
		"ids of float": {func(m *onnx.Model) { value(m, "input_ids").GetType().GetTensorType().ElemType = int32(onnx.Float32) }, []string{"input_ids", "float"}},
		"caches of two types": {func(m *onnx.Model) {
			value(m, "past_key_values.1.key").GetType().GetTensorType().ElemType = int32(onnx.Float16)
		}, []string{"past_key_values.1.key: it is float16"}},
		"the same input twice": {func(m *onnx.Model) { value(m, "past_key_values.1.key").Name = "past.0.key" }, []string{"past.0.key: it is past_key of layer 0", "past_key for layer 1"}},
		"metadata that lie":    {func(m *onnx.Model) { state(m, metaLogits, "last") }, []string{"metadata says logits of last"}},
		"metadata of no sense": {func(m *onnx.Model) { state(m, metaLogits, "some"); state(m, metaPositions, "-3") }, []string{`"some"`, `"-3"`}},
		"an input of unknown size": {func(m *onnx.Model) {
			m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo("extra", onnx.Int64, onnx.Sym("k")))
		}, []string{"extra: dimension 0", `"k"`, "--bind extra:0="}},
		"always empty": {func(m *onnx.Model) { fix(m, "past_key_values.0.key", 2, 0) }, []string{"past_key_values.0.key: dimension 2 is fixed at 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, "gpt2")
			c.change(m)
			_, err := Infer(m)
			if fault.Exit(err) != 4 {
				t.Fatalf("got %v (exit %d), want an error of class input", err, fault.Exit(err))
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestWhatNeedsNoName(t *testing.T) {
	want, err := Infer(load(t, "gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(m *onnx.Model){
		"no dimension has a name":  unname,
		"two names of one role":    func(m *onnx.Model) { call(m, "past_key_values.1.key", 0, "n") },
		"a vocabulary that varies": func(m *onnx.Model) { call(m, "logits", 2, "v") },
		"heads that vary":          func(m *onnx.Model) { call(m, "past_key_values.0.key", 1, "h") },
		"one batch has none":       func(m *onnx.Model) { dim(m, "input_ids", 0).Value = nil },
		"outputs have their own":   func(m *onnx.Model) { call(m, "present.0.key", 2, "Concatpresent.0.key_dim_2") },
		"a flag beside": func(m *onnx.Model) {
			m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo("use_cache_branch", onnx.Bool, onnx.Fixed(1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, "gpt2")
			change(m)
			c, err := Infer(m)
			if err != nil {
				t.Fatal(err)
			}
			for i, in := range want.Inputs {
				if d := cmp.Diff(want.Shape(in, 3, 7, 11), c.Shape(c.Inputs[i], 3, 7, 11)); d != "" {
					t.Errorf("%s: %s", in.Name, d)
				}
			}
			for _, in := range c.Inputs[len(want.Inputs):] {
				if shape := c.Shape(in, 3, 7, 11); !cmp.Equal(shape, []int64{1}) {
					t.Errorf("%s: shape %v", in.Name, shape)
				}
			}
		})
	}
}

// An output that is called like something else is a doubt: it is as long as it is.
func TestDoubts(t *testing.T) {
	m := load(t, "gpt2")
	call(m, "present.0.key", 2, "past_sequence_length")
	c, err := Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Doubts) != 1 || !strings.Contains(c.Doubts[0], "present.0.key: dimension 2") {
		t.Errorf("%q", c.Doubts)
	}
}

func TestFixedBatchKeepsItsRole(t *testing.T) {
	m := load(t, "gpt2")
	for _, v := range m.Graph().Input {
		fix(m, v.GetName(), 0, 1)
	}
	c, err := Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Inputs[0].Dims[0]
	if d.Role != Batch || d.Size != 1 || c.Shape(c.Inputs[0], 4, 8, 0)[0] != 1 || d.Asked(4, 8, 0) != 4 {
		t.Errorf("%+v", d)
	}
}
