package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

var backendRules = []Rule{
	{
		ID: "TF501", Severity: Warning,
		What:     "Profiles that cannot be reached",
		Why:      "ONNX Runtime's TensorRT EP stays on the first profile of a session (as of 1.31): the others are built and stored and never run",
		Fix:      "make one wide profile, or a session for each profile with its own trt_engine_cache_prefix, or use a backend that switches",
		Prevents: "`setInputShape()` that fails for every shape of the other profiles",
		check:    unreachable,
	},
	{
		ID: "TF502", Severity: Error,
		What:     "A refittable or weight-stripped engine with several profiles",
		Why:      "TensorRT allows one profile in an engine that can be refitted",
		Fix:      "use one wide profile, or build an engine that is not refittable",
		Prevents: "a second addOptimizationProfile that is refused",
		check:    refittable,
	},
	{
		ID: "TF503", Severity: Error, Stricter: true, Only: []Backend{ORTTRT},
		What:     "A shape tensor whose opt is not its max",
		Why:      "ONNX Runtime since 1.23 with TensorRT 10.11 or later hands the two over in each other's place",
		Fix:      "set opt = max for the values of shape tensors",
		Prevents: "a profile that is refused as not min <= opt <= max, or one that is narrower than written",
		check:    swapped,
	},
	{
		ID: "TF504", Severity: Warning, Only: []Backend{ORTTRT},
		What:     "Option names that differ from the inputs of a TensorRT subgraph, with the engine cache on",
		Why:      "the .profile beside an engine holds the names of that subgraph only; where the options hold more names, or there are several subgraphs, the comparison fails each time",
		Fix:      "name exactly the inputs of the graph, and see that TensorRT takes all of it",
		Prevents: "an engine that is rebuilt at every start in spite of its cache",
		needs:    needs{inputs: true}, check: rebuilt,
	},
	{
		ID: "TF505", Severity: Info, Only: []Backend{ORTTRT},
		What:     "An engine cache without a prefix",
		Why:      "the name of a cached engine is made of node names and versions; weights, static shapes, types, precision options and calibration tables do not change it",
		Fix:      "give every model and plan its own trt_engine_cache_prefix, or directory",
		Prevents: "an engine of another model or of older weights, without a word",
		check:    unnamedCache,
	},
	{
		ID: "TF506", Severity: Warning, Only: []Backend{ORTTRT},
		What:     "CUDA graphs with shapes that vary",
		Why:      "one graph is captured in a session, for the shapes of the first run",
		Fix:      "fix every shape (min = opt = max), or switch trt_cuda_graph_enable off",
		Prevents: "replays with the buffers and lengths of the first call",
		check:    captured,
	},
	{
		ID: "TF507", Severity: Info, Only: []Backend{RTXEP},
		What:     "Several profiles in the TensorRT-RTX EP",
		Why:      "they are used only with nv_multi_profile_enable=1 and a profile number in the run options; the EP inside ONNX Runtime reads that number without looking whether it is there",
		Fix:      "set nv_multi_profile_enable=1, and nv_profile_index in every run",
		Prevents: "runs that stay on profile 0, or a crash",
		check:    selected,
	},
	{
		ID: "TF508", Severity: Warning, Only: []Backend{ORTTRT, RTXEP},
		What:     "A graph that TensorRT takes in several pieces",
		Why:      "what the parser lacks runs elsewhere; each piece becomes an engine with its own profiles, and tensors are copied between",
		Fix:      "export without the operators that are named",
		Prevents: "several engines, copies between them, and an engine cache that never fits",
		needs:    needs{graph: true}, check: pieces,
	},
	{
		ID: "TF509", Severity: Warning, Only: []Backend{ORTTRT, RTXEP},
		What:     "A tensor that a piece of the graph gets from elsewhere has no range",
		Why:      "every dynamic input of every piece needs one, also where it is no input of the whole graph",
		Fix:      "name it in the profile, or export without the operators that cut the graph",
		Prevents: "`Following input(s) has no associated shape profiles provided`; `has no shape specified` where its shape is not known",
		needs:    needs{graph: true}, check: borders,
	},
}

func unreachable(l *look) []Finding {
	if n := len(l.Profiles); l.Reach == profiles.First && n > 1 {
		return []Finding{general(fmt.Sprintf("only profile 0 of %d is ever used", n))}
	}
	return nil
}

func refittable(l *look) []Finding {
	if n := len(l.Profiles); l.Options.Refittable && n > 1 {
		return []Finding{general(fmt.Sprintf("the engine is refittable and has %d profiles", n))}
	}
	return nil
}

func swapped(l *look) (all []Finding) {
	if before(l.Options.ORT, 1, 23) || before(l.Options.TRT, 10, 11) {
		return nil
	}
	for i, p := range l.Profiles {
		for _, r := range p.Inputs {
			if r.Values && !slices.Equal(r.Opt, r.Max) {
				all = append(all, Finding{Profile: i, Inputs: []string{r.Input}, Dim: -1, Message: fmt.Sprintf("%s has opt %d and max %d", r.Input, r.Opt, r.Max)})
			}
		}
	}
	return all
}

func rebuilt(l *look) (all []Finding) {
	if !l.Options.EngineCache {
		return nil
	}
	if extra := broken(profiles.BreachUnknown)(l); len(extra) > 0 {
		all = append(all, general(fmt.Sprintf("%s is in the options and not in the graph", several(extra[0].Inputs))))
	}
	if l.parts > 1 {
		all = append(all, general(fmt.Sprintf("TensorRT takes the graph in at least %d pieces", l.parts)))
	}
	return all
}

func unnamedCache(l *look) []Finding {
	if l.Options.EngineCache && l.Options.CachePrefix == "" {
		return []Finding{general("the engine cache is on, and no prefix is set")}
	}
	return nil
}

func captured(l *look) (all []Finding) {
	if !l.Options.CUDAGraph {
		return nil
	}
	for i, p := range l.Profiles {
		var names []string
		for _, r := range p.Inputs {
			if !slices.Equal(r.Min, r.Max) {
				names = append(names, r.Input)
			}
		}
		if len(names) > 0 {
			all = append(all, Finding{Profile: i, Inputs: names, Dim: -1, Message: fmt.Sprintf("profile %d lets %s vary", i, several(names))})
		}
	}
	return all
}

func selected(l *look) []Finding {
	if n := len(l.Profiles); n > 1 {
		return []Finding{general(fmt.Sprintf("there are %d profiles", n))}
	}
	return nil
}

func pieces(l *look) []Finding {
	if l.parts < 2 {
		return nil
	}
	return []Finding{general(fmt.Sprintf("at least %d pieces, cut by %s", l.parts, strings.Join(l.Graph.lacking(l.Backend), ", ")))}
}

func borders(l *look) (all []Finding) {
	for i := range l.Profiles {
		var bare []string
		for _, name := range l.border {
			if _, ranged := l.ranges[i][name]; !ranged {
				bare = append(bare, name)
			}
		}
		if len(bare) > 0 {
			all = append(all, Finding{Profile: i, Inputs: bare, Dim: -1, Message: fmt.Sprintf("%s has no range in profile %d", several(bare), i)})
		}
	}
	return all
}

// IsVersion tells whether a text is a version: numbers between dots.
func IsVersion(text string) bool {
	for _, part := range strings.Split(text, ".") {
		if n, err := strconv.Atoi(part); err != nil || n < 0 {
			return false
		}
	}
	return true
}

// before tells whether a version is known and older than major.minor.
func before(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 1 {
		return false
	}
	return a < major || a == major && b < minor
}
