package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// classic is the header of a plan of TensorRT 10.13.3.9, and some bytes.
func classic(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "their.engine")
	b := append([]byte("ftrt"), make([]byte, 96)...)
	copy(b[24:], []byte{10, 13, 3, 9})
	must(t, os.WriteFile(path, b, 0o600))
	return path
}

func TestAdoptedEnginesAreMarkedAndServeNoRequest(t *testing.T) {
	s, r := open(t), request(t)
	path := classic(t)
	word := Foreign{File: path, Precision: r.Precision, Profiles: r.Plan.Profiles, Contract: &contract.Contract{Kind: "contract", SchemaVersion: 1}}
	e, err := s.Adopt(t.Context(), word)
	must(t, err)
	if m := e.Manifest; !m.Adopted || m.Achieved != "" || m.Builder != "tensorrt 10.13.3.9" || len(m.Warnings) == 0 || m.Inputs["adopted"] != m.FileDigest {
		t.Errorf("%+v", m)
	}
	if _, err := os.Stat(filepath.Join(e.Dir, contract.File)); err != nil {
		t.Error(err)
	}
	if other, err := s.Adopt(t.Context(), Foreign{File: path}); err != nil || other.Cached || other.Manifest.Key == e.Manifest.Key {
		t.Errorf("another word: %+v, %v", other, err)
	}
	if again, err := s.Adopt(t.Context(), word); err != nil || !again.Cached {
		t.Errorf("adopted twice: %+v, %v", again, err)
	}
	b := &counted{Builder: enginetest.Fake{Version: "1"}}
	r.Backend = e.Manifest.Backend
	if built := build(t, s, b, r); built.Cached || built.Manifest.Adopted || b.builds != 1 {
		t.Errorf("a request was answered by what was adopted: %+v", built.Manifest)
	}
	for name, content := range map[string]string{"text": "this is an engine", "onnx": "\x08\x0a"} {
		other := filepath.Join(t.TempDir(), name+".engine")
		must(t, os.WriteFile(other, []byte(content), 0o600))
		if _, err := s.Adopt(t.Context(), Foreign{File: other}); fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTakeProvesWhatItTakes(t *testing.T) {
	theirs, ours, dir := open(t), open(t), filepath.Join(t.TempDir(), "out")
	e := build(t, theirs, enginetest.Fake{Version: "1"}, request(t))
	must(t, e.Export(dir))
	got, err := ours.Take(t.Context(), dir)
	must(t, err)
	if got.Manifest.Key != e.Manifest.Key || got.Manifest.Adopted {
		t.Errorf("%+v", got.Manifest)
	}
	b := &counted{Builder: enginetest.Fake{Version: "1"}}
	if again := build(t, ours, b, request(t)); !again.Cached || b.builds != 0 {
		t.Error("what was taken is built again")
	}
	rewrite(t, filepath.Join(dir, e.Manifest.File), func(s string) string { return s + "x" })
	if _, err := open(t).Take(t.Context(), dir); fault.Classify(err) != fault.Input {
		t.Errorf("damaged: %v", err)
	}
}

// TestEstimateCountsEveryFile: weights lie in files of any name, and an engine that
// was built once says how large they become.
func TestEstimateCountsEveryFile(t *testing.T) {
	m := onnx.New("g")
	m.SetWeight(onnx.Floats("w", []int64{4096}, make([]float32, 4096)...))
	s, r := open(t), request(t)
	must(t, onnx.Save(m, r.Model, onnx.SaveOptions{DataFile: "weights.bin"}))
	if need, why := s.estimate(r); need < 4*4096 || !strings.Contains(why, "weights") {
		t.Errorf("%s %d", why, need)
	}
	must(t, os.WriteFile(r.Model, []byte("what is no graph"), 0o600))
	if need, _ := s.estimate(r); need != int64(len("what is no graph")) {
		t.Errorf("what is no graph: %d", need)
	}
	large := deep{enginetest.Fake{}}
	build(t, s, large, r)
	other := request(t)
	other.Target = "another"
	if need, why := s.estimate(other); need < 100_000 || !strings.Contains(why, "same graph") {
		t.Errorf("%s %d", why, need)
	}
}

// TestAPlanOfAnotherBuilder: the header of a plan is held against its manifest.
func TestAPlanOfAnotherBuilder(t *testing.T) {
	e := &Entry{Dir: t.TempDir(), Manifest: &engine.Manifest{File: "engine.plan", Builder: "tensorrt 10.13.3 on NVIDIA L4"}}
	b, err := os.ReadFile(classic(t))
	must(t, err)
	must(t, os.WriteFile(e.File(), b, 0o600))
	must(t, e.header())
	for _, builder := range []string{"tensorrt 10.12.0 on NVIDIA L4", "tensorrt-rtx 1.7.1.116"} {
		e.Manifest.Builder = builder
		if err := e.header(); fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v", builder, err)
		}
	}
}
