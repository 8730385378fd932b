package syntax

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// Triton's config.pbtxt: protobuf text of inference.ModelConfig.
//
// | fact | source |
// |---|---|
// | backend "onnxruntime": accelerator "tensorrt" passes trt_profile_*_shapes on as they are | onnxruntime_backend README, parameter mapping; src/onnxruntime.cc |
// | those are whole shapes, the batch among them, whatever max_batch_size says | ONNX Runtime reads them |
// | backend "tensorrt": instance_group.profile names profiles of the engine by index | model_config.proto, ModelInstanceGroup |
// | an engine holds its profiles, the file does not; parameters that no backend reads are kept | model_config.proto, ModelConfig.parameters |
// | dims leave the batch out where max_batch_size > 0; -1 varies | model_configuration.md |
// | dims may not be empty: [1] with reshape to [] | the same, reshape |
// | a shape tensor says is_shape_tensor | model_config.proto, ModelInput |
//
// For the tensorrt backend the shapes are written as parameters of the model under
// the options' names, so that the file can be compared with the plan.

// configField is a field that stands at the top of a config.pbtxt.
var configField = regexp.MustCompile(`(?m)^\s*(max_batch_size\s*:|(input|output|instance_group|dynamic_batching|optimization)\s*:?\s*[\[{]|platform\s*:|backend\s*:)`)

// looksLikeConfig tells a config.pbtxt by two of its fields.
func looksLikeConfig(text string) bool {
	return !strings.HasPrefix(strings.TrimSpace(text), "{") && len(configField.FindAllStringIndex(text, 2)) == 2
}

var backendField = regexp.MustCompile(`(?m)^\s*(?:backend|platform)\s*:\s*["'](\w+)["']`)

// backendOf is the backend that a config names, "" for none.
func backendOf(text string) string {
	if m := backendField.FindStringSubmatch(text); m != nil {
		return strings.TrimSuffix(m[1], "_plan")
	}
	return ""
}

// triton reads the options of a config.pbtxt.
func (r *reader) triton() []profiles.Profile {
	all := r.provider(ortKeys)
	if len(all) == 0 && len(r.errs) == 0 {
		cause := "it sets no trt_profile_*_shapes"
		if backendOf(r.text) == "tensorrt" {
			cause = "it names profiles of an engine and does not say their shapes"
		}
		r.bad(0, cause, "ask the engine's manifest or plan")
	}
	return all
}

func emitTriton(in Input) (string, error) {
	return config(in, "onnxruntime", func(b *strings.Builder, lists [3]string) {
		b.WriteString("optimization {\n  execution_accelerators {\n    gpu_execution_accelerator: [\n      {\n        name: \"tensorrt\"\n")
		for k, key := range ortKeys {
			fmt.Fprintf(b, "        parameters { key: %q value: %s }\n", key, quoteProto(lists[k]))
		}
		for _, key := range slices.Sorted(maps.Keys(in.Accelerator)) {
			fmt.Fprintf(b, "        parameters { key: %s value: %s }\n", quoteProto(key), quoteProto(in.Accelerator[key]))
		}
		b.WriteString("      }\n    ]\n  }\n}\n")
	})
}

func emitTritonTRT(in Input) (string, error) {
	return config(in, "tensorrt", func(b *strings.Builder, lists [3]string) {
		var index []string
		for i := range in.Profiles {
			index = append(index, strconv.Quote(strconv.Itoa(i)))
		}
		fmt.Fprintf(b, "instance_group [\n  {\n    count: 1\n    kind: KIND_GPU\n    profile: [ %s ]\n  }\n]\n", strings.Join(index, ", "))
		b.WriteString("# The engine holds its profiles. Triton reads none of these parameters: they say what was built.\n")
		for k, key := range ortKeys {
			fmt.Fprintf(b, "parameters { key: %q value: { string_value: %s } }\n", key, quoteProto(lists[k]))
		}
	})
}

// config writes what both backends share, and what more writes.
func config(in Input, backend string, more func(b *strings.Builder, lists [3]string)) (string, error) {
	c := in.Contract
	if c == nil {
		return "", fault.New(fault.Usage, "writing", "config.pbtxt", "it needs the data types of the graph's inputs and outputs", "name the graph with --model")
	}
	lists, err := providerLists(in.Profiles)
	if err != nil {
		return "", err
	}
	values := map[string]bool{}
	for _, r := range in.Profiles[0].Inputs {
		values[r.Input] = r.Values
	}
	var b strings.Builder
	var errs []error
	fmt.Fprintf(&b, "backend: %q\nmax_batch_size: %d\n", backend, in.MaxBatch)
	for _, side := range []struct {
		field   string
		tensors []contract.Tensor
	}{{"input", c.Inputs}, {"output", c.Outputs}} {
		fmt.Fprintf(&b, "%s [\n", side.field)
		for i, t := range side.tensors {
			text, err := tensor(t, in.MaxBatch > 0, side.field == "input" && values[t.Name])
			errs = append(errs, err)
			comma := ","
			if i == len(side.tensors)-1 {
				comma = ""
			}
			fmt.Fprintf(&b, "  {\n%s  }%s\n", text, comma)
		}
		b.WriteString("]\n")
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	more(&b, lists)
	return b.String(), nil
}

// TritonType is Triton's name of an ONNX type ("TYPE_FP16" of "float16"), or "".
func TritonType(onnx string) string {
	if t := tritonTypes[onnx]; t != "" {
		return "TYPE_" + t
	}
	return ""
}

// tritonTypes is Triton's name of ONNX's types.
var tritonTypes = map[string]string{
	"bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
	"int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
	"float16": "FP16", "float": "FP32", "double": "FP64", "bfloat16": "BF16", "string": "STRING",
}

// tensor writes the fields of an input or output.
func tensor(t contract.Tensor, batched, shapeTensor bool) (string, error) {
	typ := tritonTypes[t.Type]
	if typ == "" {
		return "", refuse(fmt.Sprintf("tensor %q", clip(t.Name)), fmt.Sprintf("Triton has no type %q", t.Type), "")
	}
	dims := t.Dims
	if batched && !shapeTensor {
		if len(dims) == 0 || dims[0].Role != contract.Batch || dims[0].Size > 0 {
			return "", refuse(fmt.Sprintf("tensor %q", clip(t.Name)), "its first dimension is no batch that varies, so Triton cannot batch requests", "write it with --max-batch-size 0")
		}
		dims = dims[1:]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "    name: %s\n    data_type: TYPE_%s\n", quoteProto(t.Name), typ)
	sizes := make([]int64, len(dims))
	for i, d := range dims {
		if sizes[i] = -1; d.Size > 0 {
			sizes[i] = d.Size
		}
	}
	if len(sizes) == 0 {
		b.WriteString("    dims: [ 1 ]\n    reshape: { shape: [ ] }\n")
	} else {
		fmt.Fprintf(&b, "    dims: [ %s ]\n", join(sizes, ", "))
	}
	if shapeTensor {
		b.WriteString("    is_shape_tensor: true\n")
	}
	return b.String(), nil
}

// quoteProto writes a string of protobuf text; names are UTF-8 without control
// characters, so two escapes are enough.
func quoteProto(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
