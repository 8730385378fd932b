package syntax

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// Options of ONNX Runtime's TensorRT and TensorRT-RTX execution providers.
//
//	list  = item {"," item}
//	item  = name ":" size {"x" size}
//
// | fact | source |
// |---|---|
// | split at commas, then colons, then x; the second colon ends the shape | onnxruntime tensorrt_execution_provider_utils.h, MakeInputNameShapePair |
// | sizes are std::stoi: 32 bits, throws on anything else | the same |
// | the nth mention of a name is its shape in profile n | the same, ParseProfileShapes |
// | only max given means "no profile" without a word; unequal counts read beyond a vector | tensorrt_execution_provider.cc, ValidateProfileShapes |
// | an item without sizes is refused, so a scalar has no form; it needs none | MakeInputNameShapePair |
// | environment variables are read where no options are given | tensorrt_execution_provider.h, kProfilesMinShapes ... |
// | nv_profile_*: the same code; the header's `;` between inputs is not what it splits at | nv_execution_provider_utils.h |
// | nv_multi_profile_enable=1 where there are several | nv_provider_options.h |
var (
	ortKeys = [3]string{"trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"}
	rtxKeys = [3]string{"nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes"}
	ortEnv  = [3]string{"ORT_TENSORRT_PROFILE_MIN_SHAPES", "ORT_TENSORRT_PROFILE_OPT_SHAPES", "ORT_TENSORRT_PROFILE_MAX_SHAPES"}
)

const rtxMany = "nv_multi_profile_enable"

func (r *reader) ort() []profiles.Profile    { return r.provider(ortKeys) }
func (r *reader) ortEnv() []profiles.Profile { return r.provider(ortEnv) }
func (r *reader) rtx() []profiles.Profile    { return r.provider(rtxKeys) }

// provider reads three options wherever they stand in the text.
func (r *reader) provider(keys [3]string) []profiles.Profile {
	set := r.settings(keys)
	var lists [3][]item
	var at [3]int
	given := 0
	for k, s := range set {
		if s.failed {
			given++
		} else if s.s != "" {
			given++
			at[k] = s.key0
			lists[k] = r.list(s.value, cutProvider)
		}
	}
	if given == 0 {
		return nil
	}
	whole := true
	for k, s := range set {
		if s.s == "" && !s.failed {
			if r.uneven(max(set[0].key0, set[1].key0, set[2].key0), keys[k]+" is missing",
				"set all three; the provider builds no explicit profile otherwise, and says so in a warning at most") {
				whole = false
			}
		}
	}
	if !whole || len(r.errs) > 0 {
		return nil // the counts would be those of what could be read
	}
	return r.profiles(r.occurrences(lists, at), keys)
}

// lists are the values of the three options.
func providerLists(all []profiles.Profile) (lists [3]string, err error) {
	if err := check(all, 32, providerName); err != nil {
		return lists, err
	}
	var parts [3][]string
	for _, p := range all {
		for _, r := range p.Inputs {
			if len(r.Min) == 0 {
				continue // a scalar; the network knows its shape
			}
			for k, shape := range [][]int64{r.Min, r.Opt, r.Max} {
				parts[k] = append(parts[k], r.Input+":"+join(shape, "x"))
			}
		}
	}
	if len(parts[0]) == 0 {
		return lists, refuse("profile 0", "it holds scalars only, which have no shape to choose", "")
	}
	for k := range lists {
		lists[k] = strings.Join(parts[k], ",")
	}
	return lists, nil
}

// providerName says why a name cannot be written, or "".
func providerName(name string) string {
	if strings.ContainsAny(name, ",:") {
		return "the syntax separates by commas and colons"
	}
	return ""
}

// options are the provider's options in order, with the values of lists.
func options(keys [3]string, all []profiles.Profile) (names, values []string, err error) {
	lists, err := providerLists(all)
	if err != nil {
		return nil, nil, err
	}
	names, values = keys[:], lists[:]
	if keys == rtxKeys && len(all) > 1 {
		names, values = append(names[:3:3], rtxMany), append(values[:3:3], "1")
	}
	return names, values, nil
}

// TensorRTOptions are the profiles as options of ONNX Runtime's TensorRT EP, for a
// program that gives them to a session itself. Its errors are those of [Emit].
func TensorRTOptions(all []profiles.Profile) (map[string]string, error) {
	names, values, err := options(ortKeys, all)
	if err != nil {
		return nil, err
	}
	o := map[string]string{}
	for i := range names {
		o[names[i]] = values[i]
	}
	return o, nil
}

// emitPlain writes KEY=VALUE, one a line.
func emitPlain(keys [3]string) func(Input) (string, error) {
	return func(in Input) (string, error) {
		names, values, err := options(keys, in.Profiles)
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, "%s=%s\n", names[i], shellQuote(values[i]))
		}
		return b.String(), err
	}
}

// emitEnv writes lines for a shell.
func emitEnv(in Input) (string, error) {
	lists, err := providerLists(in.Profiles)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for k, key := range ortEnv {
		fmt.Fprintf(&b, "export %s=%s\n", key, shellQuote(lists[k]))
	}
	return b.String(), nil
}

// emitJSON writes an object of strings.
func emitJSON(keys [3]string) func(Input) (string, error) {
	return func(in Input) (string, error) {
		names, values, err := options(keys, in.Profiles)
		if err != nil {
			return "", err
		}
		return object(names, values, "  "), nil
	}
}

// emitPython writes the dictionary and how a session gets it.
func emitPython(keys [3]string, provider string) func(Input) (string, error) {
	return func(in Input) (string, error) {
		names, values, err := options(keys, in.Profiles)
		if err != nil {
			return "", err
		}
		return "provider_options = " + object(names, values, "    ") +
			fmt.Sprintf("session = onnxruntime.InferenceSession(\"model.onnx\", providers=[(%q, provider_options)])\n", provider), nil
	}
}

// object writes a JSON object, which is a Python dictionary too: strings are
// escaped the same way in both.
func object(names, values []string, indent string) string {
	var b bytes.Buffer
	b.WriteString("{\n")
	for i := range names {
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "%s%q: %s%s\n", indent, names[i], quoteJSON(values[i]), comma)
	}
	b.WriteString("}\n")
	return b.String()
}

func quoteJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
