package sidecar

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/profiles"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const u = profiles.Unknown

func r(input string, lo, opt, hi []int64) profiles.Range {
	return profiles.Range{Input: input, Min: lo, Opt: opt, Max: hi}
}

func TestReadsWhatTheBuilderWrote(t *testing.T) {
	cache := func(name string, past [3]int64) profiles.Range {
		return r(name, []int64{1, u, past[0]}, []int64{1, u, past[1]}, []int64{4, u, past[2]})
	}
	prefill, decode := [3]int64{0, 0, 0}, [3]int64{8, 128, 1023}
	for _, v := range []struct {
		file string
		want File
	}{
		{"decoder.profile", File{2, []profiles.Profile{
			{Inputs: []profiles.Range{r("attention_mask", []int64{1, 8}, []int64{1, 64}, []int64{4, 512}), r("input_ids", []int64{1, 8}, []int64{1, 64}, []int64{4, 512}),
				cache("past_key_values.0.key", prefill), cache("past_key_values.0.value", prefill), cache("past_key_values.1.key", prefill), cache("past_key_values.1.value", prefill), r("token_type", nil, nil, nil)}},
			{Inputs: []profiles.Range{r("attention_mask", []int64{1, 9}, []int64{1, 129}, []int64{4, 1024}), r("input_ids", []int64{1, 1}, []int64{1, 1}, []int64{4, 1}),
				cache("past_key_values.0.key", decode), cache("past_key_values.0.value", decode), cache("past_key_values.1.key", decode), cache("past_key_values.1.value", decode), r("token_type", nil, nil, nil)}},
		}}},
		{"one.profile", File{2, []profiles.Profile{{Inputs: []profiles.Range{r("input_ids", []int64{u, 1}, []int64{u, 8}, []int64{u, 8})}}}}},
		{"wide.profile", File{2, []profiles.Profile{{Inputs: []profiles.Range{r("kv_slice", []int64{-1}, []int64{2}, []int64{4}), r("x", []int64{1, u, u, 0}, []int64{300, u, u, 5}, []int64{70000, u, u, 1<<31 - 1})}}}}},
		{"v1.profile", File{1, []profiles.Profile{{Inputs: []profiles.Range{r("input_ids", []int64{1, 1}, []int64{u, u}, []int64{4, 512}), r("mask", []int64{u, 1}, []int64{u, u}, []int64{u, 512})}}}}},
	} {
		got, err := Read(fixture(t, v.file), v.file)
		if err != nil {
			t.Errorf("%s: %v", v.file, err)
			continue
		}
		// Empty and nil shapes mean the same.
		want, _ := json.Marshal(v.want)
		have, _ := json.Marshal(got)
		if d := cmp.Diff(strings.ReplaceAll(string(want), "null", "[]"), strings.ReplaceAll(string(have), "null", "[]")); d != "" {
			t.Errorf("%s: %s", v.file, d)
		}
	}
}

// The fixtures are what the committed script makes of them.
func TestFixturesAreTheScripts(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(testenv.Python(t, "oracle"), "testdata/make.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, _ := filepath.Glob(filepath.Join(dir, "*.profile"))
	if len(made) != 6 {
		t.Errorf("%d fixtures", len(made))
	}
	for _, path := range made {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !bytes.Equal(b, fixture(t, name)) {
			t.Errorf("%s: the script makes it differently now", name)
		}
	}
}

// Google's builder writes 100 files at random; we read what went into them.
func TestAgainstTheBuilder(t *testing.T) {
	out, err := exec.Command(testenv.Python(t, "oracle"), "testdata/make.py", "--random", "100").Output()
	if err != nil {
		t.Fatal(err)
	}
	numbers := 0
	for line := range strings.Lines(string(out)) {
		var c struct {
			Bytes   string
			Tensors map[string]map[string][][3]int64 // by dimension, min, max, opt of each profile
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(c.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ReadVersion(b, "random", 2)
		if err != nil {
			t.Fatalf("%v\n%.200s", err, line)
		}
		for i, p := range f.Profiles {
			if len(p.Inputs) != len(c.Tensors) {
				t.Errorf("%d inputs of %d", len(p.Inputs), len(c.Tensors))
			}
			for _, in := range p.Inputs {
				for dim, all := range c.Tensors[in.Input] {
					d, _ := strconv.Atoi(dim)
					numbers++
					if len(all) != len(f.Profiles) || all[i] != [3]int64{in.Min[d], in.Max[d], in.Opt[d]} {
						t.Errorf("%s dimension %d of profile %d: read %d %d %d, written %v", in.Input, d, i, in.Min[d], in.Opt[d], in.Max[d], all[i])
					}
				}
			}
		}
	}
	if numbers < 10_000 {
		t.Errorf("%d ranges compared", numbers)
	}
}

func TestFill(t *testing.T) {
	f, err := Read(fixture(t, "decoder.profile"), "f")
	if err != nil {
		t.Fatal(err)
	}
	batch, seq := contract.Dim{Role: contract.Batch}, contract.Dim{Role: contract.Seq}
	fixed := func(n int64) contract.Dim { return contract.Dim{Role: contract.Static, Size: n} }
	cache := func(name string) contract.Tensor {
		return contract.Tensor{Name: name, Dims: []contract.Dim{batch, fixed(4), {Role: contract.Past}, fixed(64)}}
	}
	c := &contract.Contract{Inputs: []contract.Tensor{
		{Name: "input_ids", Dims: []contract.Dim{batch, seq}},
		{Name: "attention_mask", Dims: []contract.Dim{batch, {Role: contract.Total}, {Role: contract.Free}}},
		cache("past_key_values.0.key"), cache("past_key_values.0.value"),
		{Name: "token_type", Dims: []contract.Dim{fixed(3)}}, {Name: "scale", Dims: []contract.Dim{fixed(1)}}, {Name: "left out", Dims: []contract.Dim{seq}},
	}}
	got := f.Fill(c)[1]
	want := []profiles.Range{
		r("input_ids", []int64{1, 1}, []int64{1, 1}, []int64{4, 1}),
		r("attention_mask", []int64{1, 9, u}, []int64{1, 129, u}, []int64{4, 1024, u}),
		r("past_key_values.0.key", []int64{1, 4, 8, 64}, []int64{1, 4, 128, 64}, []int64{4, 4, 1023, 64}),
		r("past_key_values.0.value", []int64{1, 4, 8, 64}, []int64{1, 4, 128, 64}, []int64{4, 4, 1023, 64}),
		r("token_type", []int64{3}, []int64{3}, []int64{3}), r("scale", []int64{1}, []int64{1}, []int64{1}),
		r("past_key_values.1.key", []int64{1, u, 8}, []int64{1, u, 128}, []int64{4, u, 1023}),
		r("past_key_values.1.value", []int64{1, u, 8}, []int64{1, u, 128}, []int64{4, u, 1023}),
	}
	if d := cmp.Diff(want, got.Inputs); d != "" {
		t.Error(d)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	whole := fixture(t, "one.profile")
	change := func(at int, to byte) []byte {
		b := bytes.Clone(whole)
		if at < 0 {
			at += len(b)
		}
		b[at] = to
		return b
	}
	for _, v := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "too short"},
		{"text", []byte("input_ids:1x8\n"), "no FlexBuffers map"},
		{"no input", fixture(t, "empty.profile"), "names no input"},
		{"either version", fixture(t, "either.profile"), "both versions"},
		{"a root beyond the file", change(-3, 200), "points outside"},
		{"a width of 3", change(-1, 3), "points outside"},
		{"a length beyond the file", change(10, 255), "points outside"},
		{"a vector of strings", change(-4, 15<<2), "type 15"},
		{"numbers left over", change(10, 5), "not groups of 4"},
		{"min > max", change(12, 9), "9, 8, 8 is not min <= opt <= max"},
		{"a dimension of no tensor", change(11, 100), "no dimension 100"},
		{"too large", make([]byte, maxFile+1), "larger than"},
	} {
		_, err := Read(v.b, "f.profile")
		if fault.Exit(err) != 4 || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%s: exit %d, %v\nwant: %s", v.name, fault.Exit(err), err, v.want)
		}
	}
	if f, err := ReadVersion(fixture(t, "either.profile"), "f", 1); err != nil || len(f.Profiles) != 1 || f.Version != 1 {
		t.Errorf("as version 1: %v, %v", f, err)
	}
	if _, err := ReadVersion(whole, "f", 3); fault.Exit(err) != 4 {
		t.Errorf("as version 3: %v", err)
	}
}

// Any bytes give profiles of one set of inputs, or an error of class input.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"decoder", "one", "wide", "v1", "either", "empty"} {
		f.Add(fixture(f, name+".profile"))
	}
	c := &contract.Contract{Inputs: []contract.Tensor{{Name: "input_ids", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Static, Size: 2}}}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func() (*File, error){
			func() (*File, error) { return Read(b, "f") },
			func() (*File, error) { return ReadVersion(b, "f", 1) }, func() (*File, error) { return ReadVersion(b, "f", 2) },
		} {
			file, err := read()
			if err != nil {
				if file != nil || fault.Exit(err) != 4 {
					t.Errorf("%v, exit %d", err, fault.Exit(err))
				}
				continue
			}
			for _, p := range file.Profiles {
				if len(p.Inputs) == 0 || len(p.Inputs) != len(file.Profiles[0].Inputs) {
					t.Errorf("%d inputs", len(p.Inputs))
				}
			}
			file.Fill(c)
		}
	})
}
