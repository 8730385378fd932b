package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// order is a build and what NVIDIA's builder must be found to have said of it.
type order struct {
	Model    string                  `json:"model"`
	Profiles []map[string][3][]int64 `json:"profiles"`

	id     string // "" = nothing wrong
	fields map[string]string
}

// NVIDIA's builder is given broken profiles with random names and sizes, and its
// log is explained: the root is what was broken, and names what was.
func TestWhatNVIDIAsBuilderSays(t *testing.T) {
	python := testenv.Python(t, "rtx")
	r := rand.New(rand.NewPCG(7, 7))
	dir := t.TempDir()
	var orders []order
	var in bytes.Buffer
	for i := range 90 {
		o := broken(t, r, filepath.Join(dir, fmt.Sprint(i, ".onnx")), i%9)
		orders = append(orders, o)
		if err := json.NewEncoder(&in).Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(python, "testdata/build.py")
	c.Stdin = &in
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &complaint)
	}
	logs := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(logs) != len(orders) {
		t.Fatalf("%d logs of %d builds", len(logs), len(orders))
	}
	for i, o := range orders {
		var log string
		if err := json.Unmarshal([]byte(logs[i]), &log); err != nil {
			t.Fatal(err)
		}
		report := explained(t, log, Context{})
		f := report.Root()
		switch {
		case o.id == "":
			if f != nil || len(report.Unknown) > 0 {
				t.Errorf("build %d is good, and is explained by %+v, %v:\n%s", i, f, report.Unknown, log)
			}
			continue
		case f == nil || f.ID != o.id || len(report.Unknown) > 0:
			t.Errorf("build %d: want %s, is explained by %+v, %v:\n%s", i, o.id, f, report.Unknown, log)
			continue
		}
		for k, v := range o.fields {
			if f.Fields[k] != v {
				t.Errorf("build %d: %s = %q, want %q:\n%s", i, k, f.Fields[k], v, log)
			}
		}
	}
}

// broken is a decoder's cache in small (keys = past and new ones, plus a mask),
// with profiles that are broken in one way.
func broken(t *testing.T, r *rand.Rand, path string, way int) order {
	t.Helper()
	name := func() string {
		b := make([]byte, 3+r.IntN(8))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz_./0123456789"[r.IntN(26)]
		}
		return string(b) + "." + fmt.Sprint(r.IntN(100))
	}
	past, fresh, mask, cat, add := "p_"+name(), "n_"+name(), "m_"+name(), "cat_"+name(), "add_"+name()
	heads := int64(2 + r.IntN(6))
	m := onnx.New("g")
	g := m.Graph()
	g.Input = []*onnxpb.ValueInfoProto{
		onnx.ValueInfo(past, onnx.Float32, onnx.Fixed(heads), onnx.Sym("past")),
		onnx.ValueInfo(fresh, onnx.Float32, onnx.Fixed(heads), onnx.Sym("seq")),
		onnx.ValueInfo(mask, onnx.Float32, onnx.Fixed(heads), onnx.Sym("total")),
	}
	if way > 6 { // a dimension that two inputs share by its name
		g.Input[0], g.Input[1] = onnx.ValueInfo(past, onnx.Float32, onnx.Fixed(heads), onnx.Sym("s_"+cat)), onnx.ValueInfo(fresh, onnx.Float32, onnx.Fixed(heads), onnx.Sym("s_"+cat))
	}
	g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("y", onnx.Float32, onnx.Fixed(heads), onnx.Sym("total"))}
	axis := &onnxpb.AttributeProto{Name: "axis", Type: onnxpb.AttributeProto_INT, I: 1}
	g.Node = []*onnxpb.NodeProto{
		{OpType: "Concat", Name: cat, Input: []string{past, fresh}, Output: []string{"k"}, Attribute: []*onnxpb.AttributeProto{axis}},
		{OpType: "Add", Name: add, Input: []string{"k", mask}, Output: []string{"y"}},
	}
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	p, s := int64(2+r.IntN(50)), int64(2+r.IntN(50))
	row := func(a, b, c int64) [3][]int64 { return [3][]int64{{heads, a}, {heads, b}, {heads, c}} }
	good := func() map[string][3][]int64 {
		return map[string][3][]int64{past: row(p, p+1, p+2), fresh: row(s, s+1, s+2), mask: row(p+s, p+s+2, p+s+4)}
	}
	o := order{Model: path, Profiles: []map[string][3][]int64{good(), good()}}
	bad := o.Profiles[1]
	switch way {
	case 1:
		o.Profiles = nil
		o.id = "no-profile"
	case 2:
		o.Profiles = o.Profiles[1:]
		bad[fresh] = row(s+3, s+1, s+2)
		o.id, o.fields = "profile-min-opt-max", map[string]string{"inputs": fresh}
	case 3:
		delete(bad, mask)
		o.id, o.fields = "profile-missing-input", map[string]string{"input": mask, "profile": "1"}
	case 4:
		bad[past] = [3][]int64{{heads, p, 1}, {heads, p, 1}, {heads, p, 1}}
		o.id, o.fields = "profile-rank", map[string]string{"input": past, "profile": "1", "rank": "2", "given": "3"}
	case 5:
		bad[past] = [3][]int64{{heads, p}, {heads + 1, p}, {heads + 2, p}}
		o.id, o.fields = "profile-static-dim", map[string]string{"input": past, "profile": "1", "index": "0", "want": fmt.Sprint(heads), "hi": fmt.Sprint(heads + 2)}
	case 6:
		bad[mask] = row(p+s, p+s+3, p+s+4)
		o.id, o.fields = "profile-contradicts", map[string]string{"at": "OPT", "profile": "1", "node": add}
	case 7:
		o.Profiles = []map[string][3][]int64{{past: row(p, p, p), fresh: row(p+1, p+1, p+1), mask: row(2*p+1, 2*p+1, 2*p+1)}}
		o.id, o.fields = "profile-named-dim", map[string]string{"dim": "s_" + cat}
	case 8:
		o.Profiles = []map[string][3][]int64{{past: row(p, p, p+2), fresh: row(p, p+1, p+2), mask: row(2*p, 2*p+1, 2*p+4)}}
		o.id, o.fields = "profile-contradicts", map[string]string{"at": "OPT", "node": add}
	}
	return o
}
