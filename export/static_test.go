package export

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// written exports the variants of a checkpoint beside it.
func written(t *testing.T, s Shape, seed uint64, variants ...Options) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := Random(dir, s, seed); err != nil {
		t.Fatal(err)
	}
	if err := WriteVariants(dir, dir, variants...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func loaded(t *testing.T, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// Graphs run by ONNX Runtime against transformers' FP32 eager attention: batch,
// left padding, chunks, single steps up to the last column, in a buffer that is
// full of numbers at first. Written one column off, every model must be noticed.
func TestStaticParityWithTransformers(t *testing.T) {
	python := testenv.Python(t, "oracle")
	args := []string{filepath.Join("testdata", "parity_static.py")}
	all := shapes(8)
	var capacities []int64
	for i, s := range all {
		o := Options{Cache: Static, Capacity: 11 + (s.Positions-11)*int64(i%4)/3} // up to all positions
		last := o
		last.Logits = Last
		capacities = append(capacities, o.Capacity)
		args = append(args, written(t, s, uint64(i), o, last))
	}
	type parity struct {
		Logits, Last, Cache, Shifted float64
		Compared, End                int64
		Finite                       bool
	}
	rows := run[parity](t, python, args...)
	if len(rows) != len(all) {
		t.Fatalf("%d results for %d models", len(rows), len(all))
	}
	for i, r := range rows {
		t.Logf("capacity %d of %+v: %+v", capacities[i], all[i], r)
		if worst := max(r.Logits, r.Last, r.Cache); !(worst <= tolerance) || !r.Finite || r.Compared == 0 || r.End != capacities[i] {
			t.Errorf("model %d (%+v): %+v", i, all[i], r)
		}
		if !(r.Shifted > 100*tolerance) {
			t.Errorf("model %d: written one column off, logits differ by %g only", i, r.Shifted)
		}
	}
}

func TestStaticInputsAndOutputs(t *testing.T) {
	dir := written(t, tiny, 1, Options{}, Options{Logits: Last, Cache: Static, Capacity: 12})
	m := loaded(t, filepath.Join(dir, "model-static-last.onnx"))
	describe := func(all []*onnxpb.ValueInfoProto) (lines []string) {
		for _, v := range all {
			dtype, dims := onnx.TypeOf(v)
			if !strings.Contains(v.GetName(), ".1.") {
				lines = append(lines, fmt.Sprint(v.GetName(), " ", dtype, " ", dims))
			}
		}
		return lines
	}
	const cache = "float [batch_size 2 12 4]"
	for _, c := range []struct {
		got, want []string
	}{
		{describe(m.Graph().Input), []string{
			"input_ids int64 [batch_size sequence_length]", "attention_mask int64 [batch_size 12]",
			"position_ids int64 [batch_size sequence_length]", "cache_position int64 [sequence_length]",
			"past_key_values.0.key " + cache, "past_key_values.0.value " + cache,
		}},
		{describe(m.Graph().Output), []string{"logits float [batch_size 1 40]", "present.0.key " + cache, "present.0.value " + cache}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(c.got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	props := map[string]string{}
	for _, p := range m.Proto.GetMetadataProps() {
		props[p.GetKey()] = p.GetValue()
	}
	if props[MetaCache] != "static" || props[MetaCapacity] != "12" || props[MetaPositions] != "16" || props[MetaLogits] != "last" {
		t.Errorf("metadata %v", props)
	}
	for _, n := range m.Graph().Node {
		if n.GetDomain() != "" || n.GetOpType() == "If" || n.GetOpType() == "Loop" {
			t.Errorf("node %s is a %s of domain %q", n.GetName(), n.GetOpType(), n.GetDomain())
		}
	}
}

// Whatever their cache, graphs of one checkpoint have one file of weights.
func TestStaticSharesTheWeights(t *testing.T) {
	s := tiny
	s.Positions = 300
	dir := written(t, s, 1, Options{}, Options{Cache: Static}, Options{Logits: Last, Cache: Static, Capacity: 256})
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if want := []string{"config.json", "model-static-last.onnx", "model-static.onnx", "model.onnx", "model.onnx.data", "model.safetensors"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestCapacity(t *testing.T) {
	dir := checkpointOf(t, tiny)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Cache: Static, Capacity: 17}, "capacity 17 is not between 1 and the model's 16 positions"},
		{Options{Cache: Static, Capacity: -1}, "capacity -1"},
		{Options{Capacity: 8}, "no capacity"},
		{Options{Cache: "ring"}, `cache "ring"`},
	} {
		if _, err := GPT2(dir, c.o); fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.o, err, c.want)
		}
	}
	m, err := GPT2(dir, Options{Cache: Static})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if _, dims := onnx.TypeOf(m.Graph().Input[1]); dims[1].Size != 16 {
		t.Errorf("mask %v without a capacity, want the model's 16 positions", dims)
	}
}
