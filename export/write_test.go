package export

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// exported writes both variants of a shape and loads one.
func exported(t *testing.T, s Shape, l Logits) *onnx.Model {
	t.Helper()
	out := filepath.Join(t.TempDir(), "made", "here")
	if err := Write(checkpointOf(t, s), out, All, Last); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(filepath.Join(out, l.File()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestInputsAndOutputs(t *testing.T) {
	for l, positions := range map[Logits]string{All: "sequence_length", Last: "1"} {
		g := exported(t, tiny, l).Graph()
		describe := func(all []*onnxpb.ValueInfoProto) (lines []string) {
			for _, v := range all {
				dtype, dims := onnx.TypeOf(v)
				line := v.GetName() + " " + dtype.String()
				for _, d := range dims {
					line += ", " + d.String()
				}
				lines = append(lines, line)
			}
			return lines
		}
		const total = "past_sequence_length + sequence_length"
		wantIn := []string{
			"input_ids int64, batch_size, sequence_length", "attention_mask int64, batch_size, " + total,
			"position_ids int64, batch_size, sequence_length",
			"past_key_values.0.key float, batch_size, 2, past_sequence_length, 4",
			"past_key_values.0.value float, batch_size, 2, past_sequence_length, 4",
			"past_key_values.1.key float, batch_size, 2, past_sequence_length, 4",
			"past_key_values.1.value float, batch_size, 2, past_sequence_length, 4",
		}
		wantOut := []string{
			"logits float, batch_size, " + positions + ", 40",
			"present.0.key float, batch_size, 2, " + total + ", 4", "present.0.value float, batch_size, 2, " + total + ", 4",
			"present.1.key float, batch_size, 2, " + total + ", 4", "present.1.value float, batch_size, 2, " + total + ", 4",
		}
		if got := describe(g.Input); !slices.Equal(got, wantIn) {
			t.Errorf("%s: inputs\n%s", l, strings.Join(got, "\n"))
		}
		if got := describe(g.Output); !slices.Equal(got, wantOut) {
			t.Errorf("%s: outputs\n%s", l, strings.Join(got, "\n"))
		}
	}
}

// The default operator set only, and nothing that TensorRT cannot parse.
func TestOperators(t *testing.T) {
	m := exported(t, tiny, All)
	if m.Opset() != 21 || len(m.Proto.GetOpsetImport()) != 1 {
		t.Errorf("operator sets %v", m.Proto.GetOpsetImport())
	}
	names := map[string]bool{}
	for _, n := range m.Graph().Node {
		if n.GetDomain() != "" || n.GetOpType() == "If" || n.GetOpType() == "Loop" {
			t.Errorf("node %s is a %s of domain %q", n.GetName(), n.GetOpType(), n.GetDomain())
		}
		if names[n.GetName()] {
			t.Errorf("two nodes are called %s", n.GetName())
		}
		names[n.GetName()] = true
	}
}

func TestMetadata(t *testing.T) {
	got := map[string]string{}
	for _, p := range exported(t, tiny, Last).Proto.GetMetadataProps() {
		got[p.GetKey()] = p.GetValue()
	}
	if got[MetaPositions] != "16" || got[MetaLogits] != "last" {
		t.Errorf("metadata %v", got)
	}
}

// Tied embeddings are in the file once: what a separate head adds is its size.
func TestTiedEmbeddingsAreStoredOnce(t *testing.T) {
	untied := tiny
	untied.Untied = true
	difference := exported(t, untied, All).Size() - exported(t, tiny, All).Size()
	if want := 4 * tiny.Vocab * tiny.Width; difference != want {
		t.Errorf("a head of its own adds %d bytes, want %d", difference, want)
	}
}

// goldenDigests are those of the tiny model.
var goldenDigests = map[Logits]string{
	All:  "b0ae6b1987bff369381852bc5ab4a7209dfb28a5730a9937546d70f4fdfef535",
	Last: "e55ccbf8f5d743028836073f08ed4032a3ccad126f7acca4198b66dcdb74d0bc",
}

const goldenStatic = "328cda94f6037403bb9d9790ced83936eb1ae56adbdccabbd0bf30d760ed8f0c"

// The graph and the random weights, to the bit: a change of either changes
// every engine's key and is to be noticed here first.
func TestGoldenDigest(t *testing.T) {
	for l, want := range goldenDigests {
		got, err := exported(t, tiny, l).Digest()
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: digest %s, want %s", l, got, want)
		}
	}
	m, err := GPT2(checkpointOf(t, tiny), Options{Cache: Static, Capacity: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if got, err := m.Digest(); err != nil || got != goldenStatic {
		t.Errorf("static: digest %s, want %s, %v", got, goldenStatic, err)
	}
}

func TestPackingDoesNotChangeTheDigest(t *testing.T) {
	dir := checkpointOf(t, tiny)
	shard(t, dir, 4)
	m, err := GPT2(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	got, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got != goldenDigests[All] {
		t.Errorf("digest %s of the sharded checkpoint, %s of the whole one", got, goldenDigests[All])
	}
}

func TestWriteRefusesValuesThatAreNoNumbers(t *testing.T) {
	const tensor = prefix + "h.1.mlp.c_fc.weight"
	for name, value := range map[string]float64{"NaN": math.NaN(), "Inf": math.Inf(-1)} {
		t.Run(name, func(t *testing.T) {
			dir := checkpointOf(t, tiny)
			nan(t, dir, tensor, 133, math.Float32bits(float32(value)))
			out := filepath.Join(dir, "out")
			err := Write(dir, out)
			if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "tensor "+tensor+": element 133 is NaN or infinite") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Error("something was left behind")
			}
		})
	}
}

func TestWriteToWhatIsNoDirectory(t *testing.T) {
	dir := checkpointOf(t, tiny)
	if err := Write(dir, filepath.Join(dir, "config.json")); fault.Classify(err) != fault.Runtime {
		t.Errorf("got %v", err)
	}
}

func TestUnknownVariant(t *testing.T) {
	if _, err := GPT2(checkpointOf(t, tiny), Options{Logits: "first"}); fault.Classify(err) != fault.Usage {
		t.Errorf("got %v", err)
	}
}

func TestRandomRefuses(t *testing.T) {
	for name, s := range map[string]Shape{
		"heads":      {Layers: 1, Width: 10, Heads: 3, Vocab: 5, Positions: 5},
		"nothing":    {},
		"activation": {Layers: 1, Width: 4, Heads: 2, Vocab: 5, Positions: 5, Activation: "silu"},
		"type":       {Layers: 1, Width: 4, Heads: 2, Vocab: 5, Positions: 5, Type: "F8"},
	} {
		if err := Random(t.TempDir(), s, 1); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Random weights have the deviation asked for, and another seed gives others.
func TestRandomValues(t *testing.T) {
	s := tiny
	s.Width, s.Vocab, s.Std = 32, 500, 0.05
	values := floats(t, checkpointOf(t, s))[embedName]
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(values))
	if mean, std := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 0.002 || math.Abs(std-0.05) > 0.001 {
		t.Errorf("mean %v, deviation %v", mean, std)
	}
	other := t.TempDir()
	if err := Random(other, s, 2); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(values, floats(t, other)[embedName]) {
		t.Error("two seeds gave the same weights")
	}
}
