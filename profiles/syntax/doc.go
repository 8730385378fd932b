// Package syntax writes optimization profiles the way other tools take them, and
// reads them back.
//
// Five tools take profiles, each in a grammar of its own that it reads
// carelessly: a name with a colon is cut in half, a missing list means "no
// profile", a count that differs reads beyond a vector. What is written here they
// read as it was meant, or [Emit] refuses and says why:
//
//	text, err := syntax.Emit(syntax.Trtexec, syntax.Input{Profiles: plan.Profiles})
//	all, err := syntax.Parse(script) // ParseAs where the text does not tell whose it is
//
// Reading takes text as people have it (a shell script, a Python file, a
// config.pbtxt, lines of environment variables), finds the profiles in it and
// reports everything that is malformed at once, each with its line and column.
// Nothing is completed: a tool that would take a missing minimum from the maximum
// is not imitated. What is well formed and unwise, as min > opt, is profiles/lint's.
//
// Each syntax has a file, whose comments give the grammar and its source. Lock is
// our own: canonical text that is reviewed and compared (docs/formats.md).
package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// The syntaxes.
const (
	ORT        = "ort"             // options of ONNX Runtime's TensorRT EP, key=value
	ORTEnv     = "ort-env"         // the same as environment variables
	ORTPython  = "ort-python"      // the same as Python
	ORTJSON    = "ort-json"        // the same as JSON
	RTX        = "rtx"             // options of the TensorRT-RTX EP, key=value
	RTXPython  = "rtx-python"      // the same as Python
	RTXJSON    = "rtx-json"        // the same as JSON
	Trtexec    = "trtexec"         // arguments of trtexec
	Polygraphy = "polygraphy"      // arguments of Polygraphy
	Triton     = "triton"          // config.pbtxt, onnxruntime backend with TensorRT
	TritonTRT  = "triton-tensorrt" // config.pbtxt, tensorrt backend
	Lock       = "lock"            // trtforge's own, for review and comparison
)

// Input is what a text is written from.
type Input struct {
	Profiles []profiles.Profile
	// Contract is the graph's, with data types and outputs. Triton needs it; the
	// others do not look at it.
	Contract *contract.Contract
	// MaxBatch is Triton's max_batch_size: 0 makes the batch a dimension as any
	// other; more lets Triton batch requests, and takes the batch out of dims.
	MaxBatch int
	// Accelerator is further parameters of Triton's TensorRT accelerator, by their
	// names there; the other syntaxes do not look at them.
	Accelerator map[string]string
}

// syntax is one way to write profiles.
type syntax struct {
	name  string
	what  string
	marks []string // a text that holds one of these is of this kind
	emit  func(Input) (string, error)
	parse func(*reader) []profiles.Profile
}

// syntaxes in the order in which people meet them. Variants of one tool share
// marks; the first that a text fits gives its name.
func syntaxes() []syntax {
	return []syntax{
		{Lock, "trtforge's own text, for review and `profiles diff`", []string{lockHead}, emitLock, (*reader).lock},
		{ORT, "ONNX Runtime TensorRT EP options, key=value", ortKeys[:], emitPlain(ortKeys), (*reader).ort},
		{ORTEnv, "the same as environment variables", ortEnv[:], emitEnv, (*reader).ortEnv},
		{ORTPython, "the same as Python", nil, emitPython(ortKeys, "TensorrtExecutionProvider"), (*reader).ort},
		{ORTJSON, "the same as JSON", nil, emitJSON(ortKeys), (*reader).ort},
		{RTX, "TensorRT-RTX EP options, key=value", rtxKeys[:], emitPlain(rtxKeys), (*reader).rtx},
		{RTXPython, "the same as Python", nil, emitPython(rtxKeys, "NvTensorRTRTXExecutionProvider"), (*reader).rtx},
		{RTXJSON, "the same as JSON", nil, emitJSON(rtxKeys), (*reader).rtx},
		{Trtexec, "arguments of trtexec", trtexecFlags[:], emitTrtexec, (*reader).trtexec},
		{Polygraphy, "arguments of Polygraphy", polygraphyFlags[:], emitPolygraphy, (*reader).polygraphy},
		{Triton, "Triton config.pbtxt, onnxruntime backend", nil, emitTriton, (*reader).triton},
		{TritonTRT, "Triton config.pbtxt, tensorrt backend", nil, emitTritonTRT, (*reader).triton},
	}
}

// Names is every syntax, and what it is.
func Names() (names, what []string) {
	for _, s := range syntaxes() {
		names, what = append(names, s.name), append(what, s.what)
	}
	return names, what
}

// lookup is the syntax of a name; an unknown one is an error of class usage.
func lookup(name string) (syntax, error) {
	all := syntaxes()
	i := slices.IndexFunc(all, func(s syntax) bool { return s.name == name })
	if i < 0 {
		names, _ := Names()
		return syntax{}, fault.New(fault.Usage, "", "", fmt.Sprintf("there is no syntax %q", name), "choose among "+strings.Join(names, ", "))
	}
	return all[i], nil
}

// Emit writes profiles in a syntax, with a final newline. What the syntax cannot
// carry (a name with its separator, a size beyond its integers, profiles of
// different inputs) is an error of class input, all of it at once; an unknown
// syntax, or Triton without a contract, one of class usage.
func Emit(name string, in Input) (string, error) {
	s, err := lookup(name)
	if err != nil {
		return "", err
	}
	return s.emit(in)
}

// ParseAs reads the profiles of a text in a known syntax. Only Name, of a lock,
// and Inputs of a profile are filled in. Errors are of class input, one for each
// thing that is malformed.
func ParseAs(name, text string) ([]profiles.Profile, error) {
	s, err := lookup(name)
	if err != nil {
		return nil, err
	}
	return read(text, false, s.parse)
}

// ParseLoose is ParseAs for those who judge profiles: where a list is missing, or a
// name occurs more often in one than in another, that is no error, and the ranges
// lack what the text lacks. What is malformed is an error all the same.
func ParseLoose(name, text string) ([]profiles.Profile, error) {
	s, err := lookup(name)
	if err != nil {
		return nil, err
	}
	return read(text, true, s.parse)
}

// Parse reads the profiles of a text in the syntax that [Detect] sees.
func Parse(text string) ([]profiles.Profile, error) {
	name, err := Detect(text)
	if err != nil {
		return nil, err
	}
	return ParseAs(name, text)
}

// Detect is the syntax of a text by the option names in it. No option, or those
// of several tools, is an error of class input.
func Detect(text string) (string, error) {
	if len(text) > maxText {
		return "", tooLong(text)
	}
	var found []string
	for _, s := range syntaxes() {
		if s.name == Lock && strings.HasPrefix(text, lockHead) {
			return Lock, nil
		}
		if s.name != Lock && slices.ContainsFunc(s.marks, func(m string) bool { return hasWord(text, m) }) {
			found = append(found, s.name)
		}
	}
	if len(found) > 1 {
		return "", fault.New(fault.Input, "reading profiles", "", "the text holds profiles of "+strings.Join(found, " and of "), "say which with --from")
	}
	pbtxt := looksLikeConfig(text)
	switch {
	case len(found) == 0 && pbtxt:
		return TritonTRT, nil
	case len(found) == 0:
		return "", fault.New(fault.Input, "reading profiles", "", "no profile option of any tool is in it",
			"want a plan, a manifest, a .profile, or text with trt_profile_*_shapes, nv_profile_*_shapes, ORT_TENSORRT_PROFILE_*_SHAPES, --minShapes or --trt-min-shapes")
	case found[0] == ORT && pbtxt:
		if backendOf(text) == "tensorrt" {
			return TritonTRT, nil
		}
		return Triton, nil
	}
	return variant(found[0], text), nil
}

// variant tells the forms of an execution provider's options apart. All are read
// by one reader, so this decides a name only.
func variant(name, text string) string {
	if name != ORT && name != RTX {
		return name
	}
	switch trimmed := strings.TrimSpace(text); {
	case strings.HasPrefix(trimmed, "{"):
		return name + "-json"
	case strings.Contains(text, "ExecutionProvider"), strings.Contains(text, "provider_options"):
		return name + "-python"
	}
	return name
}
