package syntax

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// small is one profile of ids and mask.
func small() []profiles.Profile {
	r := func(input string) profiles.Range {
		return profiles.Range{Input: input, Min: []int64{1, 1}, Opt: []int64{1, 8}, Max: []int64{4, 16}}
	}
	return []profiles.Profile{{Inputs: []profiles.Range{r("ids"), r("mask")}}}
}

// Texts as people have them.
func TestTextsOfTheWorld(t *testing.T) {
	for _, v := range []struct{ name, syntax, text string }{
		{"a script", Trtexec, "#!/bin/bash\n# don't use --minShapes=x:1 here\nset -e\n" +
			"trtexec --onnx=m.onnx \\\n  --minShapes=ids:1x1,mask:1x1 \\\n  --optShapes=ids:1x8,mask:1x8 \\\n  --maxShapes=ids:4x16,mask:4x16 --fp16 # done\necho \"it's done\"\n"},
		{"quotes of trtexec", Trtexec, `trtexec --minShapes="'ids':1x1,mask:1x1" --optShapes=\'ids\':1x8,mask:1x8 '--maxShapes=ids:4x16,mask:4x16'`},
		{"a prompt in Markdown", Trtexec, "Run it:\n```bash\n$ ./bin/trtexec --onnx=\"$M\" --minShapes=ids:1x1,mask:1x1 --optShapes=ids:1x8,mask:1x8 --maxShapes=ids:4x16,mask:4x16\n```\nThat's all.\n"},
		{"a subprocess of Python", Trtexec, "subprocess.run(['trtexec', '--onnx=m.onnx',\n  '--minShapes=ids:1x1,mask:1x1',\n  \"--optShapes=ids:1x8,mask:1x8\", '--maxShapes=ids:4x16,mask:4x16'], check=True)\n"},
		{"a variable of a shell", Polygraphy, "ARGS=\"--trt-min-shapes ids:[1,1] mask:[1,1] --trt-opt-shapes ids:[1,8] mask:[1,8] --trt-max-shapes ids:[4,16] mask:[4,16]\"\npolygraphy run m.onnx $ARGS\n"},
		{"a command in a string", Trtexec, "{\"command\": \"trtexec --onnx=m.onnx --fp16 --minShapes=ids:1x1,mask:1x1 --optShapes=ids:1x8,mask:1x8 --maxShapes=ids:4x16,mask:4x16\",\n\"n\": 8}"},
		{"an array of bash", Trtexec, "shapes=(\n  --minShapes=\"ids:1x1,mask:1x1\"\n  --optShapes=\"ids:1x8,mask:1x8\"\n  --maxShapes=\"ids:4x16,mask:4x16\"\n)\n"},
		{"entries of a session", RTX, "so.AddConfigEntry(\"ep.nvtensorrtrtxexecutionprovider.nv_profile_min_shapes\", \"ids:1x1,mask:1x1\");\nso.AddConfigEntry(\"ep.nvtensorrtrtxexecutionprovider.nv_profile_opt_shapes\", \"ids:1x8,mask:1x8\");\nso.AddConfigEntry(\"ep.nvtensorrtrtxexecutionprovider.nv_profile_max_shapes\", \"ids:4x16,mask:4x16\");\n"},
		{"CRLF", Trtexec, "trtexec --minShapes=ids:1x1,mask:1x1 \\\r\n --optShapes=ids:1x8,mask:1x8 --maxShapes=ids:4x16,mask:4x16\r\n"},
		{"one argument a line", Trtexec, "--maxShapes=ids:4x16,mask:4x16\n--minShapes=ids:1x1,mask:1x1\n--optShapes=ids:1x8,mask:1x8\n"},
		{"Python", ORTPython, "import onnxruntime as ort\nproviders = [(\"TensorrtExecutionProvider\", {\n    \"trt_fp16_enable\": True,\n    'trt_profile_min_shapes': (\"ids:1x1,\"\n        \"mask:1x1\"),\n    'trt_profile_opt_shapes': r'ids:1x8,mask:1x8',  # trt_profile_max_shapes = none yet\n    'trt_profile_max_shapes': \"\"\"ids:4x16,mask:4x16\"\"\",\n})]\n"},
		{"keywords of Python", ORTPython, "provider_options = dict(trt_profile_min_shapes=\"ids:1x1,mask:1x1\",\n  trt_profile_opt_shapes='ids:1x8,mask:1x8', trt_profile_max_shapes='ids:4x16,mask:4x16')\nassert \"trt_profile_min_shapes\" in provider_options\n"},
		{"subscripts", ORT, "o['trt_profile_min_shapes'] = 'ids:1x1,mask:1x1'\no[\"trt_profile_opt_shapes\"] = \"ids:1x8,mask:1x8\"\no['trt_profile_max_shapes']='ids:4x16,mask:4x16'\nprint(o['trt_profile_max_shapes'])\n"},
		{"C++", ORT, "const char* keys[] = {\"trt_profile_min_shapes\", \"trt_profile_max_shapes\"};\n{\"trt_profile_min_shapes\", \"ids:1x1,mask:1x1\"}, {\"trt_profile_opt_shapes\", \"ids:1x8,mask:1x8\"},\n{\"trt_profile_max_shapes\", \"ids:4x16,mask:4x16\"}\n"},
		{"onnxruntime_perf_test", ORT, "onnxruntime_perf_test -e tensorrt -i 'trt_fp16_enable|true trt_profile_min_shapes|ids:1x1,mask:1x1 trt_profile_opt_shapes|ids:1x8,mask:1x8 trt_profile_max_shapes|ids:4x16,mask:4x16' m.onnx\n"},
		{"a configuration file", ORT, "[ep]\ntrt_profile_min_shapes = ids:1x1,mask:1x1\ntrt_profile_opt_shapes = \"ids:1x8,mask:1x8\"\ntrt_profile_max_shapes: ids:4x16,mask:4x16\n"},
		{"JSON", ORTJSON, `{"a": 1, "trt_profile_min_shapes" : "ids:1x1,mask\u003a1x1", "trt_profile_opt_shapes":"ids:1x8,mask:1x8","trt_profile_max_shapes":"ids:4x16,mask:4x16"}`},
		{"an environment", ORTEnv, "PATH=/bin\nORT_TENSORRT_PROFILE_MIN_SHAPES=ids:1x1,mask:1x1\nexport ORT_TENSORRT_PROFILE_OPT_SHAPES='ids:1x8,mask:1x8'; ORT_TENSORRT_PROFILE_MAX_SHAPES=\"ids:4x16,mask:4x16\" ./run\n"},
		{"compose", ORTEnv, "environment:\n  ORT_TENSORRT_PROFILE_MIN_SHAPES: ids:1x1,mask:1x1\n  ORT_TENSORRT_PROFILE_OPT_SHAPES: \"ids:1x8,mask:1x8\"\n  - ORT_TENSORRT_PROFILE_MAX_SHAPES=ids:4x16,mask:4x16\n"},
		{"os.environ", ORTEnv, "os.environ['ORT_TENSORRT_PROFILE_MIN_SHAPES'] = 'ids:1x1,mask:1x1'\nos.environ['ORT_TENSORRT_PROFILE_OPT_SHAPES'] = 'ids:1x8,mask:1x8'\nos.environ['ORT_TENSORRT_PROFILE_MAX_SHAPES'] = 'ids:4x16,mask:4x16'\n"},
		{"RTX", RTX, "nv_profile_min_shapes=ids:1x1,mask:1x1 nv_profile_opt_shapes=ids:1x8,mask:1x8 nv_profile_max_shapes=ids:4x16,mask:4x16\n"},
		{"Polygraphy", Polygraphy, "polygraphy run m.onnx --trt \\\n  --trt-min-shapes ids:[1,1] mask:[1,1] \\\n  --trt-opt-shapes \"ids:[1, 8]\" mask:[1,8] --fp16 --trt-max-shapes ids:[4,16] 'mask:[4, 16]'\necho done: ok\n"},
		{"Triton", Triton, "platform: \"onnxruntime_onnx\"\nmax_batch_size: 0\noptimization { execution_accelerators {\n  gpu_execution_accelerator : [ { name : \"tensorrt\"\n    parameters { key: \"trt_profile_min_shapes\" value: \"ids:1x1,mask:1x1\" }\n    parameters { key: \"trt_profile_opt_shapes\", value: 'ids:1x8,'\n 'mask:1x8' }\n    parameters {\n key: \"trt_profile_max_shapes\"\n      value: \"ids:4x16,mask:4x16\"\n } # trt_profile_max_shapes: later\n } ] } }\n"},
	} {
		if found, err := Detect(v.text); err != nil || found != v.syntax {
			t.Errorf("%s is taken for %q: %v", v.name, found, err)
		}
		got, err := ParseAs(v.syntax, v.text)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if d := cmp.Diff(small(), got, meaning...); d != "" {
			t.Errorf("%s: %s", v.name, d)
		}
	}
}

// Everything malformed is named, with its place, at once.
func TestMalformed(t *testing.T) {
	ort := func(lo, opt, hi string) string {
		return "trt_profile_min_shapes=" + lo + "\ntrt_profile_opt_shapes=" + opt + "\ntrt_profile_max_shapes=" + hi + "\n"
	}
	for _, v := range []struct {
		name, syntax, text string
		want               []string
	}{
		{"several things", ORT, ort("a:1x99999999999,b1x2", "a:1xq,b:", "a:1×2,,b:1x2:3"), []string{
			"at line 1, column 28: 99999999999 does not fit into 32 bits", "at line 1, column 40: \"b1x2\" has no colon",
			"at line 2, column 28: \"q\" is not a number", "at line 2, column 30: b has no shape",
			"at line 3, column 26: U+00D7 '×' stands where x is meant", "at line 3, column 30: an item is empty", "at line 3, column 36: a second colon"}},
		{"only max", ORT, "trt_profile_max_shapes=a:1", []string{"trt_profile_min_shapes is missing", "trt_profile_opt_shapes is missing"}},
		{"counts that differ", ORT, ort("a:1,a:2,b:1", "a:1,a:2,b:1", "a:1,a:2,b:1"), []string{"b has 1 minimum, 1 optimum and 1 maximum shapes, where there are 2 profiles"}},
		{"a list that is short", ORT, ort("a:1,a:2", "a:1", "a:1,a:2"), []string{"a has 2 minimum, 1 optimum"}},
		{"ranks that differ", ORT, ort("a:1x1", "a:1", "a:1x2"), []string{"a has 2 sizes at minimum, 1 at optimum, 2 at maximum"}},
		{"a space after the comma", ORT, `trt_profile_min_shapes="a:1, b:1"`, []string{"at line 1, column 29", `the name " b"`}},
		{"fullwidth", ORT, ort("a：1x1", "a:１x1", "a:1x1"), []string{"U+FF1A '：' stands where : is meant", "U+FF11 '１' is no ASCII digit"}},
		{"junk after a number", ORT, ort("a:1x8abc", "a:1x8", "a:1x"), []string{`"8abc" is not a number`, "at line 3, column 28: a size is missing"}},
		{"a symbol", ORT, ort("a:batchx8", "a:1x8", "a:1x8"), []string{`"batch" is not a number`}},
		{"an f-string", ORT, "o = {'trt_profile_min_shapes': f'a:1x{n}', 'trt_profile_opt_shapes': 'a:1' + x, 'trt_profile_max_shapes': 'a:1}", []string{"an f-string", "an expression", "the string does not end"}},
		{"a variable", ORTEnv, "export ORT_TENSORRT_PROFILE_MIN_SHAPES=a:1x$N ORT_TENSORRT_PROFILE_OPT_SHAPES=a:1 ORT_TENSORRT_PROFILE_MAX_SHAPES=a:1", []string{"column 40", "a variable"}},
		{"f-strings of trtexec", Trtexec, "[\n f\"--minShapes=ids:{s}\",\n f\"--optShapes=ids:{s}\",\n f'--maxShapes=ids:{s}',\n]", []string{"at line 2, column 4: it holds a variable", "at line 3", "at line 4"}},
		{"an expression", ORT, "{'trt_profile_min_shapes': \",\".join(lo), 'trt_profile_opt_shapes': opt, 'trt_profile_max_shapes': hi}", []string{"column 31: an expression", `"opt" has no colon`, `"hi}" has no colon`}},
		{"two settings", ORT, ort("a:1", "a:1", "a:1") + "trt_profile_min_shapes=a:2\n", []string{"at line 4, column 1", "set twice"}},
		{"semicolons", RTX, "nv_profile_min_shapes='a:1;b:1' nv_profile_opt_shapes=a:1 nv_profile_max_shapes=a:1", []string{"column 27: ; does not separate"}},
		{"trtexec", Trtexec, "trtexec --minShapes=a,'b:1 --optShapes a:1 --maxShapes=\"'a:1\"", []string{"a quote does not end"}},
		{"trtexec's list", Trtexec, "trtexec --minShapes=a:1xx2,b:0x2.5 --optShapes=a:1x4294967296,\"b'\":1x2 --maxShapes a:1", []string{
			"a size is missing", `"2.5" is not a number`, "4294967296 does not fit", "1 single quotes", "--maxShapes has no value"}},
		{"trtexec without a minimum", Trtexec, "trtexec --optShapes=a:1 --maxShapes=a:1", []string{"profile 0 has no --minShapes"}},
		{"trtexec's names", Trtexec, "--minShapes=a:1,b:1,a:1 --optShapes=a:1 --maxShapes=a:1,b:1,c:1", []string{"names a twice", "b is missing in --optShapes", "c is missing in --minShapes"}},
		{"trtexec's numbers", Trtexec, "--profile=0 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1 --profile=2 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1", []string{"no profile 1"}},
		{"a number twice", Trtexec, "--profile=0 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1 --profile=0 --profile=x", []string{"profile 0 is given twice", `"--profile=x" is no profile's number`}},
		{"trtexec's places", Trtexec, "--profile=0 --fp16 --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1", []string{"does not stand directly behind"}},
		{"two of one list", Trtexec, "--minShapes=a:1 --optShapes=a:1 --maxShapes=a:1 --minShapes=a:1", []string{"--minShapes is given twice"}},
		{"two commands", Trtexec, "trtexec --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1\ntrtexec --minShapes=a:1 --optShapes=a:1 --maxShapes=a:1\n", []string{"at line 2, column 1", "a second trtexec command"}},
		{"Polygraphy", Polygraphy, "polygraphy run --trt-min-shapes a:1x2 b[1] --trt-opt-shapes a:[1,,2] 'b:[1, two]' --trt-max-shapes", []string{
			`the shape "1x2" is not in brackets`, `"b[1]" has no colon`, "a size is missing", `"two" is not a number`, "--trt-max-shapes has no shapes"}},
		{"Polygraphy's counts", Polygraphy, "--trt-min-shapes a:[1] --trt-opt-shapes a:[1] --trt-max-shapes a:[1] --trt-min-shapes a:[2]", []string{"profile 1 has no --trt-opt-shapes", "profile 1 has no --trt-max-shapes"}},
		{"Triton of an engine", TritonTRT, "backend: \"tensorrt\"\nmax_batch_size: 4\ninstance_group [ { profile: [\"0\"] } ]\n", []string{"does not say their shapes"}},
		{"a newer lock", Lock, "# trtforge profiles.lock 2\n", []string{"up to version 1"}},
		{"a lock", Lock, "# trtforge profiles.lock 1\n  a 1 1 1\nprofile 1\n  b 1 1\n  c 1 1x1 1\n  d 1 1 z\n", []string{
			"stands before any profile", "profile 0 is expected", `at line 4, column 3: "b 1 1" is not NAME MIN OPT MAX`, "c has 1 sizes at minimum, 2", `"z" is not a number`}},
	} {
		all, err := ParseAs(v.syntax, v.text)
		if fault.Exit(err) != 4 {
			t.Errorf("%s: exit %d: %v %v", v.name, fault.Exit(err), err, all)
			continue
		}
		for _, want := range v.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say: %s", v.name, err, want)
			}
		}
	}
}

// What only looks unwise is read: lint judges it.
func TestUnwiseIsRead(t *testing.T) {
	all, err := Parse("--minShapes=a:9x-1 --optShapes=a:8x0 --maxShapes=a:1x1")
	if err != nil || all[0].Inputs[0].Min[0] != 9 || all[0].Inputs[0].Min[1] != -1 {
		t.Errorf("%v %v", all, err)
	}
}

func TestUndecided(t *testing.T) {
	for text, want := range map[string]string{
		"":      "no profile option",
		"hello": "no profile option",
		"trt_profile_min_shapes=a:1 --minShapes=a:1": "profiles of ort and of trtexec",
	} {
		if _, err := Parse(text); fault.Exit(err) != 4 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseAs("toml", ""); fault.Exit(err) != 2 {
		t.Errorf("an unknown syntax: %v", err)
	}
}

// A quarter of a megabyte of what is worst for each reader end in an error, none of them slowly.
func TestHugeTexts(t *testing.T) {
	fill := func(head, unit string) string { return head + strings.Repeat(unit, (1<<18-len(head))/len(unit)) }
	for i, text := range []string{
		fill("trt_profile_min_shapes=a:1", ","), fill("trt_profile_min_shapes=a:1", "x1"), fill("", "trt_profile_min_shapes='''"), fill("", "# trt_profile_max_shapes=a:1\n"),
		fill("nv_profile_min_shapes: \"", "\\"), fill("--minShapes=", "a:1,"), fill("", "--minShapes=a:1 "), fill("", "--profile=0 "), fill("--trt-min-shapes ", "a:[1] "), fill("--trt-min-shapes a:[", "1,"),
		fill("", "polygraphy "), fill("", "'"), fill("", "[\""), fill("", "\\\n"), fill(lockHead+" 1\n", "profile 0\n"), fill(lockHead+" 1\nprofile 0\n", " a 1 1 1\n"), fill("", "input [\n"),
	} {
		for _, s := range []string{Lock, ORT, ORTEnv, RTX, Trtexec, Polygraphy} {
			began := time.Now()
			if all, err := ParseAs(s, text); err == nil {
				t.Errorf("%s reads %d profiles from text %d", s, len(all), i)
			}
			if took := time.Since(began); took > time.Second {
				t.Logf("text %d as %s: %v", i, s, took)
			}
		}
		if _, err := Detect(text); err != nil && fault.Exit(err) != 4 {
			t.Error(err)
		}
	}
}
