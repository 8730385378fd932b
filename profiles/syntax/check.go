package syntax

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

func refuse(subject, cause, fix string) error {
	return fault.New(fault.Input, "writing", subject, cause, fix)
}

// check is everything that keeps profiles from being written: none at all, inputs
// that differ from profile to profile, ranks, sizes nobody knows or of more bits than
// the tool has, and names. bad says why the syntax cannot carry a name, or "".
func check(all []profiles.Profile, bits int, bad func(name string) string) error {
	if len(all) == 0 {
		return refuse("profiles", "there is none", "")
	}
	var errs []error
	named := map[string]bool{}
	for i, p := range all {
		subject := fmt.Sprintf("profile %d", i)
		if len(p.Inputs) == 0 {
			errs = append(errs, refuse(subject, "it has no input", ""))
		}
		mine := map[string]bool{}
		for _, r := range p.Inputs {
			input := fmt.Sprintf("%s, input %q", subject, clip(r.Input))
			switch {
			case mine[r.Input]:
				errs = append(errs, refuse(input, "it is named twice", ""))
			case i > 0 && !named[r.Input]:
				errs = append(errs, refuse(input, "profile 0 does not have it", "give every input in every profile"))
			}
			mine[r.Input] = true
			errs = append(errs, checkRange(input, r, bits)...)
			if cause := nameOr(r.Input, bad); i == 0 && cause != "" {
				errs = append(errs, refuse(input, cause, "rename the input and export again"))
			}
		}
		if i == 0 {
			named = mine
		}
		for _, r := range all[0].Inputs {
			if !mine[r.Input] {
				errs = append(errs, refuse(fmt.Sprintf("%s, input %q", subject, clip(r.Input)), "profile 0 has it, this one does not", "give every input in every profile"))
			}
		}
	}
	return first(errs)
}

// first keeps the errors to as many as people read.
func first(errs []error) error {
	if n := len(errs); n > maxErrors {
		errs = append(errs[:maxErrors:maxErrors], refuse("profiles", fmt.Sprintf("and %d more like these", n-maxErrors), ""))
	}
	return errors.Join(errs...)
}

func nameOr(name string, bad func(string) string) string {
	if cause := nameless(name); cause != "" {
		return cause
	}
	return bad(name)
}

func checkRange(input string, r profiles.Range, bits int) (errs []error) {
	if len(r.Min) != len(r.Opt) || len(r.Min) != len(r.Max) {
		return []error{refuse(input, fmt.Sprintf("it has %d sizes at minimum, %d at optimum, %d at maximum", len(r.Min), len(r.Opt), len(r.Max)), "")}
	}
	if len(r.Min) > maxSizes {
		errs = append(errs, refuse(input, fmt.Sprintf("%d sizes are more than TensorRT takes", len(r.Min)), ""))
	}
	for _, shape := range [][]int64{r.Min, r.Opt, r.Max} {
		for _, n := range shape {
			switch {
			case n == profiles.Unknown:
				return append(errs, refuse(input, "a size that the graph fixes is not known", "name the graph with --model"))
			case bits == 32 && (n > math.MaxInt32 || n < math.MinInt32):
				return append(errs, refuse(input, fmt.Sprintf("%d does not fit into the 32 bits that the tool reads", n), ""))
			}
		}
	}
	return errs
}

func join(shape []int64, sep string) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(parts, sep)
}
