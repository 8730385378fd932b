package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
)

// counted counts the builds that really ran.
type counted struct {
	engine.Builder
	builds int
}

func (c *counted) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	c.builds++
	return c.Builder.Build(ctx, r, dir, p)
}

func request(t *testing.T) engine.Request {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(model, []byte("weights of a model"), 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.Request{Name: "fake", Backend: "fake", Precision: engine.FP32, Model: model, ModelDigest: "a", Target: "sm89",
		Options: map[string]string{"level": "3"},
		Plan: &profiles.Plan{Profiles: []profiles.Profile{{Name: "decode", Inputs: []profiles.Range{
			{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 1}},
		}}}}}
}

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func build(t *testing.T, s *Store, b engine.Builder, r engine.Request) *Entry {
	t.Helper()
	e, err := s.Build(t.Context(), b, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWhatChangesAnEngineMissesAndIsNamed(t *testing.T) {
	s, b, r := open(t), &counted{Builder: enginetest.Fake{Version: "1"}}, request(t)
	build(t, s, b, r)
	moved := request(t) // the same at another path
	moved.Name = "another name"
	if e := build(t, s, b, moved); !e.Cached || b.builds != 1 {
		t.Errorf("the same request: cached %v, %d builds", e.Cached, b.builds)
	}
	for name, change := range map[string]func(*engine.Request){
		"model":                      func(r *engine.Request) { r.ModelDigest = "b" },
		"target":                     func(r *engine.Request) { r.Target = "sm86" },
		"option level":               func(r *engine.Request) { r.Options = map[string]string{"level": "5"} },
		"option calibration":         func(r *engine.Request) { r.Options["calibration"] = "d1" },
		"profile 0 input_ids":        func(r *engine.Request) { r.Plan.Profiles[0].Inputs[0].Max = []int64{8, 1} },
		"profile 0 input_ids values": func(r *engine.Request) { r.Plan.Profiles[0].Inputs[0].Values = true },
		"contract":                   func(r *engine.Request) { r.Contract = &contract.Contract{Layers: 1} },
		"profile 1 input_ids":        func(r *engine.Request) { r.Plan.Profiles = append(r.Plan.Profiles, r.Plan.Profiles[0]) },
	} {
		changed := request(t)
		change(&changed)
		if key := engine.Key(changed, b.Revision()); key == engine.Key(r, b.Revision()) {
			t.Errorf("%s does not change the key", name)
		}
		_, diff, err := s.Why(engine.Inputs(changed, b.Revision()))
		if err != nil || !slices.ContainsFunc(diff, func(d Difference) bool { return d.Input == name }) {
			t.Errorf("%s is not named: %v, %v", name, diff, err)
		}
	}
	if _, diff, _ := s.Why(engine.Inputs(r, "fake 2")); !cmp.Equal(diff, []Difference{{Input: "builder", Want: "fake 2", Have: "fake 1"}}) {
		t.Errorf("another builder: %v", diff)
	}
}

func TestDamageIsFoundAndBuiltAgain(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, e *Entry){
		"engine edited": func(t *testing.T, e *Entry) { rewrite(t, e.File(), func(s string) string { return s[1:] + "x" }) },
		"engine cut":    func(t *testing.T, e *Entry) { rewrite(t, e.File(), func(s string) string { return s[:3] }) },
		"engine gone":   func(t *testing.T, e *Entry) { must(t, os.Remove(e.File())) },
		"manifest edited": func(t *testing.T, e *Entry) {
			rewrite(t, filepath.Join(e.Dir, engine.ManifestFile), func(s string) string { return strings.Replace(s, "sm89", "sm86", 1) })
		},
		"manifest gone": func(t *testing.T, e *Entry) { must(t, os.Remove(filepath.Join(e.Dir, engine.ManifestFile))) },
		"seal gone":     func(t *testing.T, e *Entry) { must(t, os.Remove(filepath.Join(e.Dir, sealFile))) },
		"sealed under another key": func(t *testing.T, e *Entry) {
			inputs := maps.Clone(e.Manifest.Inputs)
			inputs["target"] = "sm120"
			e.Manifest.Inputs = inputs
			must(t, seal(e.Dir, e.Manifest, inputs))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, b, r := open(t), &counted{Builder: enginetest.Fake{Version: "1"}}, request(t)
			e := build(t, s, b, r)
			harm(t, e)
			if _, err := s.Get(e.Manifest.Key); fault.Classify(err) != fault.Input {
				t.Errorf("Get: %v", err)
			}
			if e := build(t, s, b, r); e.Cached || b.builds != 2 {
				t.Errorf("it was used: cached %v, %d builds", e.Cached, b.builds)
			}
			if _, err := s.Get(e.Manifest.Key); err != nil {
				t.Error(err)
			}
		})
	}
}

func rewrite(t *testing.T, path string, change func(string) string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(change(string(b))), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	s, r := open(t), request(t)
	r.Precision = engine.INT8
	if _, err := s.Build(t.Context(), enginetest.Fake{}, r, progress.Noop); fault.Classify(err) != fault.Runtime {
		t.Fatalf("err %v", err)
	}
	entries, err := os.ReadDir(s.engines())
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if _, err := s.Get(strings.Repeat("0", 64)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of nothing: %v", err)
	}
}

// TestAStoreThatCannotBeWrittenTo serves what it has, and says that it can do no more.
// No lock can be made in it, for root neither.
func TestAStoreThatCannotBeWrittenTo(t *testing.T) {
	s, b, r := open(t), &counted{Builder: enginetest.Fake{}}, request(t)
	build(t, s, b, r)
	must(t, os.RemoveAll(s.locks()))
	must(t, os.WriteFile(s.locks(), nil, 0o600))
	if e := build(t, s, b, r); !e.Cached {
		t.Error("built again")
	}
	if removed, err := s.Prune(t.Context(), Limits{MaxBytes: 1}, false); fault.Classify(err) != fault.Runtime || len(removed) != 0 {
		t.Errorf("pruned %v, %v", removed, err)
	}
	r.Target = "sm86"
	if _, err := s.Build(t.Context(), b, r, progress.Noop); fault.Classify(err) != fault.Runtime || b.builds != 1 {
		t.Errorf("%d builds, %v", b.builds, err)
	}
}

// TestEveryFieldOfAManifestEditedByHand changes each field to another value of its type.
func TestEveryFieldOfAManifestEditedByHand(t *testing.T) {
	s := open(t)
	e := build(t, s, enginetest.Fake{}, request(t))
	path := filepath.Join(e.Dir, engine.ManifestFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	var fields map[string]json.RawMessage
	must(t, json.Unmarshal(whole, &fields))
	if len(fields) < 15 {
		t.Errorf("a manifest has %d fields", len(fields))
	}
	for name, value := range fields {
		edited := maps.Clone(fields)
		switch {
		case value[0] == '"':
			edited[name] = json.RawMessage(`"other"`)
		case name == "schema_version":
			edited[name] = json.RawMessage(`2`) // no later program's: the seal is broken
		case value[0] == '{' || value[0] == '[':
			delete(edited, name)
		default:
			edited[name] = json.RawMessage(`7`)
		}
		must(t, fsx.WriteJSON(path, edited))
		if _, err := s.Get(e.Manifest.Key); fault.Classify(err) != fault.Input || !strings.Contains(fmt.Sprint(err), "sealed") {
			t.Errorf("%s edited: %v", name, err)
		}
	}
	must(t, os.WriteFile(path, whole, 0o600))
	if _, err := s.Get(e.Manifest.Key); err != nil {
		t.Error(err)
	}
}

// TestAnEngineOfALaterProgram is neither used nor replaced nor taken for damage.
func TestAnEngineOfALaterProgram(t *testing.T) {
	s, b, r := open(t), &counted{Builder: enginetest.Fake{}}, request(t)
	e := build(t, s, b, r)
	path := filepath.Join(e.Dir, engine.ManifestFile)
	rewrite(t, path, func(s string) string { return strings.Replace(s, `"schema_version": 1`, `"schema_version": 2`, 1) })
	sum, err := fsx.Digest(path)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(e.Dir, sealFile), []byte(sum), 0o600))
	if _, err := s.Build(t.Context(), b, r, progress.Noop); !errors.Is(err, keep.ErrNewer) || fault.Classify(err) != fault.Input || b.builds != 1 {
		t.Errorf("%d builds, %v", b.builds, err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 || !all[0].Newer() {
		t.Errorf("listed %+v, %v", all, err)
	}
	if removed, err := s.Prune(t.Context(), Limits{Damaged: true, MaxBytes: 1}, false); err != nil || len(removed) != 0 {
		t.Errorf("pruned %+v, %v", removed, err)
	}
}

// TestLookingIsNoUse: what is verified every night is pruned by its age all the same.
func TestLookingIsNoUse(t *testing.T) {
	s, r := open(t), request(t)
	e := build(t, s, enginetest.Fake{}, r)
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(e.Dir, usedFile), old, old))
	got, err := s.Get(e.Manifest.Key)
	must(t, err)
	if time.Since(got.Used) < time.Hour {
		t.Error("it was used by looking at it")
	}
	if e = build(t, s, enginetest.Fake{}, r); !e.Cached || time.Since(e.Used) > time.Minute {
		t.Errorf("a hit was used at %v", e.Used)
	}
}

func TestPrune(t *testing.T) {
	s, r := open(t), request(t)
	var keys []string
	for i, target := range []string{"a", "b", "c"} {
		r.Target = target
		e := build(t, s, enginetest.Fake{}, r)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		must(t, os.Chtimes(filepath.Join(e.Dir, usedFile), used, used))
		keys = append(keys, e.Manifest.Key)
	}
	one := size(s.path(keys[0]))
	gone := func(l Limits, dry bool) []string {
		removed, err := s.Prune(t.Context(), l, dry)
		must(t, err)
		var all []string
		for _, e := range removed {
			all = append(all, e.Key)
		}
		return all
	}
	if got := gone(Limits{MaxBytes: 2 * one}, true); !slices.Equal(got, keys[:1]) {
		t.Errorf("dry: %v", got)
	}
	if got := gone(Limits{MaxAge: 9*time.Hour + 30*time.Minute}, false); !slices.Equal(got, keys[:1]) {
		t.Errorf("by age: %v, want %v", got, keys[:1])
	}
	if got := gone(Limits{MaxBytes: 1}, false); !slices.Equal(got, keys[1:]) {
		t.Errorf("by size: %v", got)
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}

func TestPruneLeavesWhatIsBeingBuilt(t *testing.T) {
	s, r := open(t), request(t)
	e := build(t, s, enginetest.Fake{}, r)
	unlock, err := s.lock(t.Context(), e.Manifest.Key)
	must(t, err)
	defer unlock()
	if removed, err := s.Prune(t.Context(), Limits{MaxBytes: 1}, false); err != nil || len(removed) != 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestOpenRefusesANewerLayout(t *testing.T) {
	s := open(t)
	must(t, os.WriteFile(filepath.Join(s.dir, "version"), []byte("2\n"), 0o600))
	if _, err := Open(s.dir); fault.Classify(err) != fault.Input {
		t.Errorf("err %v", err)
	}
}

func TestFind(t *testing.T) {
	s := open(t)
	key := build(t, s, enginetest.Fake{}, request(t)).Manifest.Key
	for prefix, want := range map[string]string{key: key, key[:8]: key, key[:5]: "", "zzzzzz": ""} {
		if got, err := s.Find(prefix); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", prefix, got, err)
		}
	}
}

// TestPruneFindsWhatVerifyFinds damages an engine in a way that only its own bytes
// tell; what was built again since the listing stays.
func TestPruneFindsWhatVerifyFinds(t *testing.T) {
	s, r := open(t), request(t)
	good := build(t, s, enginetest.Fake{}, r)
	r.Target = "sm86"
	bad := build(t, s, enginetest.Fake{}, r)
	rewrite(t, bad.File(), func(s string) string { return s[1:] + "x" })
	for _, dry := range []bool{true, false} {
		removed, err := s.Prune(t.Context(), Limits{Damaged: true}, dry)
		must(t, err)
		if len(removed) != 1 || removed[0].Key != bad.Manifest.Key || removed[0].Damage == nil {
			t.Errorf("dry %v: removed %+v", dry, removed)
		}
	}
	// Damaged when it was listed, and built again since.
	if gone, err := s.discard(Listed{Key: good.Manifest.Key, Damage: errors.New("was damaged")}); gone || err != nil {
		t.Errorf("removed %v, %v", gone, err)
	}
	if _, err := s.Get(good.Manifest.Key); err != nil {
		t.Error(err)
	}
}

func TestExportLeavesWhatIsNoEngine(t *testing.T) {
	s, r := open(t), request(t)
	e, dir := build(t, s, enginetest.Fake{}, r), filepath.Join(t.TempDir(), "out")
	must(t, e.Export(dir))
	must(t, e.Export(dir)) // an engine is replaced
	notes := filepath.Join(dir, "notes.txt")
	must(t, os.WriteFile(notes, []byte("mine"), 0o600))
	if err := e.Export(dir); fault.Classify(err) != fault.Usage {
		t.Errorf("err %v", err)
	}
	if _, err := os.Stat(notes); err != nil {
		t.Error(err)
	}
}

// deep is a builder that leaves a file in a directory.
type deep struct{ engine.Builder }

func (d deep) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "parts", "1"), make([]byte, 100_000), 0o600); err != nil {
		return nil, err
	}
	return d.Builder.Build(ctx, r, dir, p)
}

func TestAnEngineInDirectories(t *testing.T) {
	s, r := open(t), request(t)
	e, dir := build(t, s, deep{enginetest.Fake{}}, r), filepath.Join(t.TempDir(), "out")
	must(t, e.Export(dir))
	must(t, e.Export(dir))
	must(t, Prove(dir))
	if all, err := s.List(); err != nil || len(all) != 1 || all[0].Bytes < 100_000 {
		t.Errorf("%+v, %v", all, err)
	}
}
