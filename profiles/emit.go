package profiles

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Text is profiles in the syntax that trtexec and ONNX Runtime share.
type Text struct{ Min, Opt, Max string }

// EmitORT writes profiles as the values of trt_profile_min_shapes,
// trt_profile_opt_shapes and trt_profile_max_shapes: "input_ids:1x8,...", every
// name once for each profile. A name that the syntax cannot carry is an error of
// class input.
func EmitORT(all []Profile) (Text, error) {
	var parts [3][]string
	for _, p := range all {
		for _, r := range p.Inputs {
			if strings.ContainsAny(r.Input, ",:") || r.Input == "" {
				return Text{}, fault.New(fault.Input, "writing profiles for input", strconv.Quote(r.Input),
					"the syntax separates by commas and colons", "rename the input and export again")
			}
			for i, shape := range [][]int64{r.Min, r.Opt, r.Max} {
				parts[i] = append(parts[i], r.Input+":"+join(shape))
			}
		}
	}
	return Text{strings.Join(parts[0], ","), strings.Join(parts[1], ","), strings.Join(parts[2], ",")}, nil
}

// EmitTrtexec writes profiles as arguments of trtexec.
func EmitTrtexec(all []Profile) ([]string, error) {
	var args []string
	for i, p := range all {
		t, err := EmitORT([]Profile{p})
		if err != nil {
			return nil, err
		}
		if len(all) > 1 {
			args = append(args, fmt.Sprintf("--profile=%d", i))
		}
		args = append(args, "--minShapes="+t.Min, "--optShapes="+t.Opt, "--maxShapes="+t.Max)
	}
	return args, nil
}

func join(shape []int64) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(parts, "x")
}
