package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// known is what the script that made the fixtures knows of one, and ONNX Runtime
// has confirmed: the roles of every dimension.
type known struct {
	Inputs  map[string][]Role `json:"inputs"`
	Outputs map[string][]Role `json:"outputs"`
}

func exports(t *testing.T) map[string]known {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "roles.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]known
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// rename gives inputs and outputs names without meaning and returns what they
// were called.
func rename(m *onnx.Model) map[string]string {
	to, back := map[string]string{}, map[string]string{}
	for i, v := range m.Graph().Input {
		to[v.GetName()] = fmt.Sprintf("x%d", i)
	}
	for i, v := range m.Graph().Output {
		to[v.GetName()] = fmt.Sprintf("y%d", i)
	}
	for _, v := range slices.Concat(m.Graph().Input, m.Graph().Output) {
		back[to[v.GetName()]] = v.GetName()
		v.Name = to[v.GetName()]
	}
	for _, n := range m.Graph().Node {
		for _, list := range [][]string{n.Input, n.Output} {
			for i, name := range list {
				if other, ok := to[name]; ok {
					list[i] = other
				}
			}
		}
	}
	return back
}

// anonymous gives every symbol another name.
func anonymous(m *onnx.Model) {
	names := map[string]string{}
	for _, v := range slices.Concat(m.Graph().Input, m.Graph().Output) {
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			if s := d.GetDimParam(); s != "" {
				if names[s] == "" {
					names[s] = fmt.Sprintf("n%d", len(names))
				}
				d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: names[s]}
			}
		}
	}
}

// compare holds a contract against what is known; back are the old names.
func compare(c *Contract, want known, back map[string]string) (wrong []string) {
	of := func(t Tensor, want map[string][]Role, input bool) {
		name := t.Name
		if back != nil {
			name = back[name]
		}
		for i, d := range t.Dims {
			if w := want[name][i]; d.Role != w && (input || d.Role != "") {
				wrong = append(wrong, fmt.Sprintf("%s (%s) dimension %d is %q, want %s", t.Name, name, i, d.Role, w))
			}
		}
		kind, layer := kindOf(name, naming[input])
		if kind == t.Kind && layer != t.Layer {
			wrong = append(wrong, fmt.Sprintf("%s (%s) is of layer %d", t.Name, name, t.Layer))
		}
		if kind != t.Kind && kind != KindOther && (input || t.Kind != KindOther) && c.Decoder() {
			wrong = append(wrong, fmt.Sprintf("%s (%s) is %s", t.Name, name, t.Kind))
		}
	}
	for _, t := range c.Inputs {
		of(t, want.Inputs, true)
	}
	for _, t := range c.Outputs {
		of(t, want.Outputs, false)
	}
	return wrong
}

// Of every export, and of what is left of it without its names, the contract is
// right, or what is missing is asked for by name.
func TestExportsAndWhatIsLeftOfThem(t *testing.T) {
	all := exports(t)
	if len(all) < 20 {
		t.Fatalf("%d exports", len(all))
	}
	// asked are the variants that a question is left of: whether the cache of a
	// GroupQueryAttention grows is nowhere in the graph.
	asked := map[string]bool{"genai-llama unnamed": true, "genai-qwen2 unnamed": true, "genai-llama nothing": true, "genai-qwen2 nothing": true}
	right := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for variant, change := range map[string]func(m *onnx.Model) map[string]string{
			"as it is": func(*onnx.Model) map[string]string { return nil },
			"unnamed":  func(m *onnx.Model) map[string]string { unname(m); return nil },
			"renamed":  rename,
			"numbered": func(m *onnx.Model) map[string]string { anonymous(m); return rename(m) },
			"nothing":  func(m *onnx.Model) map[string]string { unname(m); return rename(m) },
		} {
			m := load(t, name)
			back := change(m)
			c, err := Infer(m)
			switch {
			case err != nil && asked[name+" "+variant] && strings.Contains(err.Error(), "--bind "):
				if c, err = Infer(m, answers(t, err)...); err != nil {
					t.Errorf("%s, %s: after all answers: %v", name, variant, err)
				} else if wrong := compare(c, all[name], back); wrong != nil {
					t.Errorf("%s, %s: after all answers: %v", name, variant, wrong)
				}
			case err != nil:
				t.Errorf("%s, %s: %v", name, variant, err)
			case asked[name+" "+variant]:
				t.Errorf("%s, %s: nothing was asked", name, variant)
			default:
				for _, w := range compare(c, all[name], back) {
					t.Errorf("%s, %s: %s", name, variant, w)
				}
				right++
			}
		}
	}
	t.Logf("%d exports, %d variants right, %d asked", len(all), right, len(asked))
}

var bindText = regexp.MustCompile(`--bind (\S+)=(\S+)`)

// answers are the bindings that an error asks for, the first where there is a
// choice.
func answers(t *testing.T, err error) Bindings {
	t.Helper()
	var all Bindings
	for _, found := range bindText.FindAllStringSubmatch(err.Error(), -1) {
		what, _, _ := strings.Cut(found[2], "|")
		if what == "MIN..MAX" {
			what = "1..8"
		}
		b, err := ParseBinding(found[1] + "=" + what)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// One dimension with another's name, or one of its own, is seen through or
// reported by name, and never believed.
func TestOneNameWrong(t *testing.T) {
	right, reported := 0, 0
	for name, want := range exports(t) {
		names := map[string]bool{"sideways": true}
		for _, v := range load(t, name).Graph().Input {
			for i := range v.GetType().GetTensorType().GetShape().GetDim() {
				if s := v.GetType().GetTensorType().GetShape().GetDim()[i].GetDimParam(); s != "" {
					names[s] = true
				}
			}
		}
		inputs := load(t, name).Graph().Input
		for _, v := range slices.Concat(inputs[:min(4, len(inputs))], inputs[min(4, len(inputs)):][:min(1, max(0, len(inputs)-4))]) {
			for i, d := range v.GetType().GetTensorType().GetShape().GetDim() {
				for _, wrong := range slices.Sorted(maps.Keys(names))[:min(4, len(names))] {
					if d.GetDimParam() == "" || d.GetDimParam() == wrong {
						continue
					}
					m := load(t, name)
					call(m, v.GetName(), i, wrong)
					c, err := Infer(m)
					switch {
					case err == nil:
						right++
						for _, w := range compare(c, want, nil) {
							t.Errorf("%s, %s dimension %d called %q: %s", name, v.GetName(), i, wrong, w)
						}
					case fault.Exit(err) != 4:
						t.Errorf("%s, %s dimension %d called %q: %v", name, v.GetName(), i, wrong, err)
					default:
						reported++
						c, err = Infer(m, answers(t, err)...)
						if err != nil {
							t.Errorf("%s, %s dimension %d called %q: after all answers: %v", name, v.GetName(), i, wrong, err)
							continue
						}
						for _, w := range compare(c, want, nil) {
							t.Errorf("%s, %s dimension %d called %q: answered: %s", name, v.GetName(), i, wrong, w)
						}
					}
				}
			}
		}
	}
	t.Logf("%d seen through, %d reported", right, reported)
}
