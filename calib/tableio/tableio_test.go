package tableio

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

// sample has names with colons and spaces, one-sided and lopsided ranges, and
// magnitudes that are clipped, tiny and large.
func sample() *calib.Table {
	return &calib.Table{Kind: "table", SchemaVersion: 1, CreatedBy: "trtforge test", Model: "ab", Text: "cd", Method: "percentile:99.99",
		Samples: 32, Tokens: 2304, Ranges: map[string]calib.Range{
			"/h.0/ln_1/LayerNormalization_output_0": {Lo: -4.25, Hi: 3.1, Amax: 4.125},
			"/h.0/mlp/Gelu_output_0":                {Lo: -0.17, Hi: 11, Amax: 9.5},
			"(Unnamed Layer* 3) [Shuffle]_output":   {Lo: -1e-6, Hi: 1e-7, Amax: 1e-6},
			"model/dense:0":                         {Lo: -70000, Hi: 3, Amax: 70000},
		}}
}

func written(t *testing.T, table *calib.Table, f Form) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, table, f, Options{TRT: Version{10, 13, 3}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ulps is how many float32 lie between a and b, both above zero.
func ulps(a, b float32) int64 {
	d := int64(math.Float32bits(a)) - int64(math.Float32bits(b))
	return max(d, -d)
}

// TestEveryFormIsReadBack writes each form, holds it to its golden file, reads it
// by its content and writes it again from what was read.
func TestEveryFormIsReadBack(t *testing.T) {
	for f, golden := range map[Form]string{JSON: "table.json", TRT: "trt.cache", ORT: "calibration.flatbuffers"} {
		b := written(t, sample(), f)
		path := filepath.Join("testdata", golden)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%s differs from %s:\n%q", f, path, b)
		}
		if !bytes.Equal(b, written(t, sample(), f)) {
			t.Errorf("%s: the same table gave other bytes", f)
		}
		in, err := ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if in.Form != f {
			t.Errorf("%s was taken for %s", f, in.Form)
		}
		if f == JSON {
			if d := cmp.Diff(sample(), in.Table, cmpopts.IgnoreUnexported(calib.Table{})); d != "" || len(in.Notes) > 0 {
				t.Error(d, in.Notes)
			}
			continue
		}
		for name, want := range sample().Ranges {
			got := in.Table.Ranges[name]
			if ulps(got.Amax, want.Amax) > 1 || got.Lo != -got.Amax || got.Hi != got.Amax {
				t.Errorf("%s: %q is %+v, want amax %v and both sides as far", f, name, got, want.Amax)
			}
		}
		if len(in.Table.Ranges) != len(sample().Ranges) || len(in.Notes) != 2 {
			t.Errorf("%s: %d tensors, notes %q", f, len(in.Table.Ranges), in.Notes)
		}
		if again := written(t, in.Table, f); !bytes.Equal(again, b) {
			t.Errorf("%s: read and written again it is\n%q", f, again)
		}
	}
}

// TestScaleRoundsOnce shows what dividing by 127 and multiplying again costs: a
// magnitude comes back within one unit of the last place, whatever it is.
func TestScaleRoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		amax := math.Float32frombits(uint32(r.IntN(0x7f000000-0x05000000) + 0x05000000))
		if back := amax / 127 * 127; ulps(amax, back) > 1 {
			t.Fatalf("%v came back as %v", amax, back)
		}
	}
}

func TestTextsOfOnnxRuntime(t *testing.T) {
	text := "a 4.125\nb c 1e-05\n"
	json := `{"a": {"lowest": {"data": -4.5, "dtype": "float32", "CLS": "numpy.array"}, "highest": {"data": [2.0], "dtype": "float32", "CLS": "numpy.array"}, "CLS": "TensorData"}, "b": {"lowest": 0.5, "highest": 1.5, "CLS": "TensorData"}}`
	whole := `{"CLS": "TensorsData", "data": ` + json + `, "calibration_method": {"CLS": "CalibrationMethod", "value": "CalibrationMethod.Entropy"}, "smooth_quant": false}`
	sides := map[string]calib.Range{"a": {Lo: -4.5, Hi: 2, Amax: 4.5}, "b": {Lo: 0.5, Hi: 1.5, Amax: 1.5}}
	for _, c := range []struct {
		in     string
		form   Form
		method string
		want   map[string]calib.Range
	}{
		{text, ORTText, "ONNX Runtime", map[string]calib.Range{"a": {Lo: -4.125, Hi: 4.125, Amax: 4.125}, "b c": {Lo: -1e-5, Hi: 1e-5, Amax: 1e-5}}},
		{json, ORTJSON, "ONNX Runtime MinMax", sides},
		{whole, ORTJSON, "ONNX Runtime CalibrationMethod.Entropy", sides},
	} {
		f, err := Read(strings.NewReader(c.in), "t")
		if err != nil {
			t.Error(err)
			continue
		}
		if d := cmp.Diff(c.want, f.Table.Ranges); d != "" || f.Form != c.form || f.Table.Method != c.method {
			t.Errorf("%s, %s: %s", f.Form, f.Table.Method, d)
		}
	}
}

func TestRefusals(t *testing.T) {
	header := "TRT-101303-EntropyCalibration2\n"
	good := written(t, sample(), ORT)
	lost := bytes.Clone(good)
	binary.LittleEndian.PutUint32(lost, uint32(len(good))) // the root leads out of the file
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"empty":             {"", []string{"no calibration table"}},
		"prose":             {"Chapter one\nwas short.\n", []string{"no calibration table"}},
		"other JSON":        {`{"kind":"plan","schema_version":1}`, []string{`kind is "plan"`}},
		"header only":       {header, []string{"no tensor"}},
		"bad header":        {"TRT-x\na: 3c010a14\n", []string{"no header"}},
		"foreign header":    {"TRT-7103-OtherCalibration\na: 3c010a14\n", []string{"OtherCalibration", "LegacyCalibration"}},
		"zero, NaN, inf":    {header + "a: 00000000\nb: 7fc00000\nc: 7f800000\nd: bc010a14\n", []string{`line 2: tensor "a"`, `line 3: tensor "b"`, `"c"`, `"d"`, "not finite", "not above zero"}},
		"twice":             {header + "a: 3c010a14\na: 3c010a14\n", []string{`line 3: tensor "a" occurs twice`}},
		"digits":            {header + "a: 3c010a1\nb: 3c010a144\nc: zz010a14\nno colon\n", []string{"line 2", "line 3", "line 4", "no colon"}},
		"subnormal":         {header + "a: 00000001\n", []string{"too small"}},
		"no name":           {header + ": 3c010a14\n", []string{"a name of 0 bytes"}},
		"not UTF-8":         {header + "\xff: 3c010a14\n", []string{"not UTF-8"}},
		"text, zero":        {"a 0.0\nb -1\nc nan\nd x\n", []string{"no calibration table"}},
		"text, bad values":  {"a 0.0\nb -1\nc nan\na 1\n", []string{"line 1", "line 2", "line 3", "twice"}},
		"JSON per channel":  {`{"a": {"lowest": {"data": [1, 2], "CLS": "numpy.array"}, "highest": 3, "CLS": "TensorData"}}`, []string{"per channel"}},
		"JSON, other class": {`{"a": {"CLS": "X"}, "b": {"lowest": 1, "CLS": "TensorData"}, "c": {"lowest": 2, "highest": 1, "CLS": "TensorData"}}`, []string{`"X"`, "missing", "lo 2 is above hi 1"}},
		"ORT, cut":          {string(good[:len(good)-9]), []string{"damaged FlatBuffer"}},
		"ORT, lost root":    {string(lost), []string{"no calibration table"}},
	} {
		_, err := Read(strings.NewReader(c.in), "t.cache")
		if fault.Classify(err) != fault.Input || !strings.Contains(fmt.Sprint(err), "t.cache") {
			t.Errorf("%s: %v, want an input error that names the file", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v lacks %q", name, err, want)
			}
		}
	}
	if _, err := ReadFile("absent"); fault.Classify(err) != fault.Input {
		t.Error(err)
	}
	if _, err := Read(strings.NewReader(strings.Repeat(" ", maxFile+1)), "large"); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "larger") {
		t.Error(err)
	}
}

func TestWriteRefusesWhatAFormCannotHold(t *testing.T) {
	table := sample()
	table.Ranges["dead"] = calib.Range{}
	table.Ranges["nan"] = calib.Range{Amax: float32(math.NaN())}
	for _, f := range []Form{TRT, ORT} {
		err := Write(&bytes.Buffer{}, table, f, Options{})
		if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), `"dead"`) || !strings.Contains(err.Error(), `"nan"`) {
			t.Errorf("%s: %v, want an input error that names both tensors", f, err)
		}
		if err := Write(&bytes.Buffer{}, &calib.Table{}, f, Options{}); fault.Classify(err) != fault.Input {
			t.Errorf("%s without a tensor: %v", f, err)
		}
	}
	lines := &calib.Table{Ranges: map[string]calib.Range{"a\nb": {Amax: 1}}}
	if err := Write(&bytes.Buffer{}, lines, TRT, Options{}); fault.Classify(err) != fault.Input {
		t.Errorf("a name of two lines: %v", err)
	}
	if err := Write(&bytes.Buffer{}, sample(), ORTText, Options{}); fault.Classify(err) != fault.Usage {
		t.Errorf("a form that is read only: %v", err)
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{"10": "100000", "10.13": "101300", "10.13.3": "101303", "v10.16.1.11": "101601"} {
		v, err := ParseVersion(text)
		b := bytes.Buffer{}
		if err != nil || Write(&b, sample(), TRT, Options{TRT: v}) != nil || !strings.HasPrefix(b.String(), "TRT-"+want+"-EntropyCalibration2\n") {
			t.Errorf("%s: %v, %v, %.40q", text, v, err, b.String())
		}
	}
	for text, want := range map[string]string{"11": "no calibrators", "11.4.0": "no calibrators", "8.6.1": "not supported", "ten": "10.13.3", "": "10.13.3"} {
		if _, err := ParseVersion(text); fault.Classify(err) != fault.Usage || !strings.Contains(fmt.Sprintf("%v %+v", err, err), "") || !mentions(err, want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// mentions looks into an error and into its remedy.
func mentions(err error, text string) bool {
	f, ok := err.(*fault.Error) //nolint:errorlint // made right here
	return ok && (strings.Contains(f.Error(), text) || strings.Contains(f.Fix, text))
}

func TestDoubtsNameTheColon(t *testing.T) {
	if d := Doubts(sample(), TRT); len(d) != 1 || !strings.Contains(d[0], `"model/dense:0"`) {
		t.Error(d)
	}
	if d := Doubts(sample(), ORT); len(d) > 0 {
		t.Error(d)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"table.json", "trt.cache", "calibration.flatbuffers", "ort.flatbuffers"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a 4.125\nb c 1e-05\n"))
	f.Add([]byte(`{"a": {"lowest": {"data": -4.5, "CLS": "numpy.array"}, "highest": 2, "CLS": "TensorData"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Read(bytes.NewReader(b), "fuzz")
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Fatalf("class %s: %v", fault.Classify(err), err)
			}
			return
		}
		if in.Form == JSON {
			return // package calib has a target of its own
		}
		for name, r := range in.Table.Ranges {
			if magnitude(r.Amax) != nil || badName(name) != nil {
				t.Fatalf("%q: %+v was let in", name, r)
			}
		}
		var out bytes.Buffer
		if err := Write(&out, in.Table, ORT, Options{}); err != nil {
			t.Fatal(err)
		}
		again, err := Read(&out, "again")
		if err != nil {
			t.Fatal(err)
		}
		if want, got := amaxes(in.Table), amaxes(again.Table); !slices.Equal(want, got) {
			t.Fatalf("%v became %v", want, got)
		}
	})
}

// amaxes are a table's magnitudes in the order of their names.
func amaxes(t *calib.Table) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t.Ranges)) {
		all = append(all, fmt.Sprintf("%q %x", name, math.Float32bits(t.Ranges[name].Amax)))
	}
	return all
}

// TestFormats holds the examples of docs/formats.md to what is written.
func TestFormats(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "formats")
	in, err := ReadFile(filepath.Join(dir, "table.json"))
	if err != nil {
		t.Fatal(err)
	}
	for f, name := range map[Form]string{TRT: "calibration.cache", ORT: "calibration.flatbuffers"} {
		b, path := written(t, in.Table, f), filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %v, written is %q", path, err, b)
		}
	}
}

// TestOurTableIsReadWhateverItsSize reads what package calib wrote: the channels of
// a large model take more than a foreign file may.
func TestOurTableIsReadWhateverItsSize(t *testing.T) {
	const n = 1 << 16
	channels := &calib.Channels{Lo: make([]float32, n), Hi: make([]float32, n), RMS: make([]float32, n)}
	for i := range n {
		channels.Lo[i], channels.Hi[i], channels.RMS[i] = -1.2345678, 1.2345678, 0.12345678
	}
	table := sample()
	for i := range 16 {
		table.Ranges[fmt.Sprint("/h/", i)] = calib.Range{Lo: -2, Hi: 2, Amax: 2, Channels: channels}
	}
	path := filepath.Join(t.TempDir(), "table.json")
	if err := table.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() <= maxFile {
		t.Fatalf("the table is too small to tell: %v, %v", info.Size(), err)
	}
	if in, err := ReadFile(path); err != nil || len(in.Table.Ranges) != len(table.Ranges) {
		t.Error(err)
	}
}

// TestAFaultNamesItsTensorAsItIs reads a name that would be a verb of a format.
func TestAFaultNamesItsTensorAsItIs(t *testing.T) {
	_, err := Read(strings.NewReader(`{"a%sb": {"CLS": "TensorData", "lowest": 1}}`), "x")
	if err == nil || !strings.Contains(err.Error(), `tensor "a%sb": lowest or highest is missing`) {
		t.Errorf("%v", err)
	}
}
